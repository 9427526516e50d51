# vitro_shaders(TARGET file.comp...): compiles each shader to a C header `<name>_spv.h` (an array
# `<name>_spv`) below the build tree and makes the headers visible to TARGET. Where a shader requires an extension
# that the compiler does not know, its array is a single 0, and the program does without that kernel.
function(vitro_shaders target)
    set(out ${CMAKE_BINARY_DIR}/shaders)
    file(MAKE_DIRECTORY ${out})
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        set(header ${out}/${name}_spv.h)
        file(STRINGS ${source} needs REGEX "^#extension GL_(KHR_cooperative_matrix|NV_cooperative_matrix2) : require")
        set(version vulkan1.2)
        if(needs MATCHES "NV_cooperative_matrix2")
            set(version vulkan1.3)
        endif()
        vitro_compiler_knows("${needs}" ${version} known)
        if(known)
            add_custom_command(OUTPUT ${header}
                COMMAND ${VITRO_GLSLANG} -V --quiet --target-env ${version} -I${CMAKE_SOURCE_DIR}/shaders/lib
                        --vn ${name}_spv --depfile ${header}.d -o ${header} ${source}
                DEPENDS ${source} DEPFILE ${header}.d COMMENT "shader ${name}" VERBATIM)
        else()
            file(GENERATE OUTPUT ${header} CONTENT "static const uint32_t ${name}_spv[] = {0};\n")
        endif()
        list(APPEND headers ${header})
    endforeach()
    target_sources(${target} PRIVATE ${headers})
    target_include_directories(${target} PRIVATE ${out})
endfunction()

# vitro_compiler_knows(EXTENSIONS VERSION RESULT): whether an empty shader with these lines compiles.
function(vitro_compiler_knows extensions version result)
    string(MD5 key "${VITRO_GLSLANG} ${VITRO_GLSLANG_MAJOR} ${extensions}")
    if(extensions AND NOT DEFINED CACHE{VITRO_KNOWS_${key}})
        list(JOIN extensions "\n" lines)
        file(WRITE ${CMAKE_BINARY_DIR}/shaders/probe.comp "#version 450\n${lines}\nvoid main() {}\n")
        execute_process(COMMAND ${VITRO_GLSLANG} -V --quiet --target-env ${version} -o probe.spv probe.comp
                        WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/shaders RESULT_VARIABLE failed
                        OUTPUT_QUIET ERROR_QUIET)
        if(failed)
            message(STATUS "${VITRO_GLSLANG} lacks what some matrix kernels need; they are left out")
            set(VITRO_KNOWS_${key} OFF CACHE INTERNAL "")
        else()
            set(VITRO_KNOWS_${key} ON CACHE INTERNAL "")
        endif()
    endif()
    if(extensions)
        set(${result} ${VITRO_KNOWS_${key}} PARENT_SCOPE)
    else()
        set(${result} ON PARENT_SCOPE)
    endif()
endfunction()
