# vitro_add_plugin(NAME source... [SHADERS file.comp...])
#   Builds vitro_NAME.so, the plugin of that id, as the target vitro_plugin_NAME: it exports the one symbol
#   `vitro_plugin` and links nothing of Vitro. Each compute shader of SHADERS is compiled to SPIR-V, which the
#   sources include as "<file's name>_spv.h": an array `<file's name>_spv`.
# Needs the target Vitro::sdk, which find_package(Vitro) makes.
function(vitro_add_plugin name)
    cmake_parse_arguments(arg "" "" "SHADERS" ${ARGN})
    if(NOT name MATCHES "^[a-z0-9_]+$")
        message(FATAL_ERROR "vitro_add_plugin: the name \"${name}\" must be of a-z, 0-9 and _")
    endif()
    set(target vitro_plugin_${name})
    add_library(${target} MODULE ${arg_UNPARSED_ARGUMENTS})
    set_target_properties(${target} PROPERTIES
        PREFIX "" SUFFIX .so OUTPUT_NAME vitro_${name}
        C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
    target_compile_features(${target} PRIVATE c_std_11)
    target_link_libraries(${target} PRIVATE Vitro::sdk)
    target_link_options(${target} PRIVATE -Wl,-z,defs)
    if(arg_SHADERS)
        vitro_compile_shaders(${target} ${arg_SHADERS})
    endif()
endfunction()

# vitro_compile_shaders(TARGET file.comp...): VITRO_GLSLANG names the compiler; else it is looked for.
function(vitro_compile_shaders target)
    if(NOT VITRO_GLSLANG)
        find_program(VITRO_GLSLANG NAMES glslang glslangValidator REQUIRED DOC "the shader compiler")
    endif()
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${target}_spv)
    file(MAKE_DIRECTORY ${out})
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        get_filename_component(source ${source} ABSOLUTE)
        set(header ${out}/${name}_spv.h)
        add_custom_command(OUTPUT ${header}
            COMMAND ${VITRO_GLSLANG} -V --quiet --target-env vulkan1.2 --vn ${name}_spv -o ${header} ${source}
            DEPENDS ${source} COMMENT "shader ${name}" VERBATIM)
        target_sources(${target} PRIVATE ${header})
    endforeach()
    target_include_directories(${target} PRIVATE ${out})
endfunction()
