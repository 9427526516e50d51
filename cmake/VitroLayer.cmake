# vitro_layer(NAME USES layer... LIBRARIES target...)
#   One static library per folder of core/. Its headers are visible only to the layers that name it
#   in USES (and to those above them), so an include against the direction of dependency does not build.
function(vitro_layer name)
    cmake_parse_arguments(arg "" "" "USES;LIBRARIES" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    add_library(vitro_${name} STATIC ${sources})
    target_include_directories(vitro_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
    list(TRANSFORM arg_USES PREPEND vitro_)
    target_link_libraries(vitro_${name} PUBLIC ${arg_USES} PRIVATE vitro_settings ${arg_LIBRARIES})
endfunction()

# vitro_test(NAME USES layer... LIBRARIES target... LABELS label...)
#   tests/<layer>/NAME.c as one CTest, a CMocka program. The label `slow` keeps it out of the preset asan.
function(vitro_test name)
    cmake_parse_arguments(arg "" "" "USES;LIBRARIES;LABELS" ${ARGN})
    add_executable(${name} ${name}.c)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
    list(TRANSFORM arg_USES PREPEND vitro_)
    target_link_libraries(${name} PRIVATE ${arg_USES} vitro_settings PkgConfig::CMOCKA m ${arg_LIBRARIES})
    add_test(NAME ${name} COMMAND ${VITRO_LAUNCHER} $<TARGET_FILE:${name}>)
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS "${arg_LABELS}")
    vitro_on_device(${name})
endfunction()
