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

# vitro_plain_shaders(TARGET file.comp...): those of the shaders whose invocations work together, once more with
# PLAIN defined (shaders/lib/lanes.glsl), as `<name>_plain_spv`. `TARGET_plain.h` has that name for every shader:
# where there is no need of a second build it is the first.
function(vitro_plain_shaders target)
    set(out ${CMAKE_BINARY_DIR}/shaders)
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        file(STRINGS ${source} together REGEX "^#include \"(lanes|rows).glsl\"")
        if(NOT together)
            string(APPEND text "#define ${name}_plain_spv ${name}_spv\n")
            continue()
        endif()
        set(header ${out}/${name}_plain_spv.h)
        add_custom_command(OUTPUT ${header}
            COMMAND ${VITRO_GLSLANG} -V --quiet --target-env vulkan1.2 -DPLAIN -I${CMAKE_SOURCE_DIR}/shaders/lib
                    --vn ${name}_plain_spv --depfile ${header}.d -o ${header} ${source}
            DEPENDS ${source} DEPFILE ${header}.d COMMENT "shader ${name}, plain" VERBATIM)
        list(APPEND headers ${header})
        string(APPEND text "#include \"${name}_plain_spv.h\"\n")
    endforeach()
    file(CONFIGURE OUTPUT ${out}/${target}_plain.h CONTENT "${text}")
    target_sources(${target} PRIVATE ${headers})
endfunction()
