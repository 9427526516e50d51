# vitro_shaders(TARGET file.comp...): compiles each shader to a C header `<name>_spv.h` (an array
# `<name>_spv`) below the build tree and makes the headers visible to TARGET.
function(vitro_shaders target)
    set(out ${CMAKE_BINARY_DIR}/shaders)
    file(MAKE_DIRECTORY ${out})
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        set(header ${out}/${name}_spv.h)
        add_custom_command(OUTPUT ${header}
            COMMAND ${VITRO_GLSLANG} -V --quiet --target-env vulkan1.2 -I${CMAKE_SOURCE_DIR}/shaders/lib
                    --vn ${name}_spv --depfile ${header}.d -o ${header} ${source}
            DEPENDS ${source} DEPFILE ${header}.d COMMENT "shader ${name}" VERBATIM)
        list(APPEND headers ${header})
    endforeach()
    target_sources(${target} PRIVATE ${headers})
    target_include_directories(${target} PRIVATE ${out})
endfunction()
