# vitro_add_plugin(NAME source...): builds vitro_NAME.so, exporting the one symbol `vitro_plugin`.
# The target vitro_plugins builds them all.
add_custom_target(vitro_plugins)
function(vitro_add_plugin name)
    add_library(vitro_plugin_${name} MODULE ${ARGN})
    set_target_properties(vitro_plugin_${name} PROPERTIES
        PREFIX "" OUTPUT_NAME vitro_${name} C_VISIBILITY_PRESET hidden C_STANDARD 11
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
    target_link_options(vitro_plugin_${name} PRIVATE -Wl,-z,defs)
    add_dependencies(vitro_plugins vitro_plugin_${name})
endfunction()
