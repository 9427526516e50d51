# What scripts/driver.sh may have unpacked below build/vulkan, and how tests use it:
#   VITRO_GLSLANG     the shader compiler (the unpacked one, else the distribution's); set it to choose
#   VITRO_LAUNCHER    what test programs start through: with-vk where it is there and no hardware GPU is
#   VITRO_BIND_DRIVER whether programs are linked to the unpacked libc, for debuggers and sanitizers
#   VITRO_VALIDATION  whether Vulkan's validation layers watch the tests
# The first two are looked up anew at each configuration, as the set-up may have run in between.
set(private_vulkan ${CMAKE_SOURCE_DIR}/build/vulkan)

if(NOT VITRO_GLSLANG)
    if(EXISTS ${private_vulkan}/bin/glslang)
        set(VITRO_GLSLANG ${private_vulkan}/bin/glslang)
    else()
        find_program(VITRO_SYSTEM_GLSLANG NAMES glslang glslangValidator REQUIRED DOC "the shader compiler")
        set(VITRO_GLSLANG ${VITRO_SYSTEM_GLSLANG})
    endif()
endif()
execute_process(COMMAND ${VITRO_GLSLANG} --version OUTPUT_VARIABLE glslang_says ERROR_QUIET)
string(REGEX MATCH "Glslang Version: [0-9]+:([0-9]+)" glslang_says "${glslang_says}")
set(VITRO_GLSLANG_MAJOR ${CMAKE_MATCH_1})

if(NOT DEFINED VITRO_LAUNCHER)
    execute_process(COMMAND bash -c "source scripts/common.sh && launcher"
                    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                    OUTPUT_VARIABLE VITRO_LAUNCHER OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()

# Under with-vk a program starts through the private dynamic linker, which debuggers and sanitizers then
# take for the program. Linked to that linker and its libraries, the program is itself.
option(VITRO_BIND_DRIVER "link programs to the newer driver's libc; they run in this tree only" OFF)
if(VITRO_BIND_DRIVER AND VITRO_LAUNCHER)
    get_filename_component(vulkan_root ${VITRO_LAUNCHER} REALPATH)
    get_filename_component(vulkan_root ${vulkan_root}/../../root/usr/lib ABSOLUTE)
    file(GLOB private_linker ${vulkan_root}/*-*/ld-linux*.so.*)
    get_filename_component(private_libs ${private_linker} DIRECTORY)
    # old-style rpath: it also counts for the libraries' own libraries; while linking, the system's come first
    string(APPEND CMAKE_EXE_LINKER_FLAGS " -Wl,--dynamic-linker=${private_linker},--disable-new-dtags"
           ",-rpath,${private_libs},-rpath-link,/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()

option(VITRO_VALIDATION "let Vulkan's validation layers watch the tests" ON)
set(VITRO_SHADER_CACHE ${CMAKE_BINARY_DIR}/shader_cache CACHE PATH
    "where compiled shaders are kept between test runs")

# as tests' environment: the driver's cache, and the program's own
set(VITRO_TEST_CACHES MESA_SHADER_CACHE_DIR=${VITRO_SHADER_CACHE} VITRO_KERNEL_CACHE=${VITRO_SHADER_CACHE}/kernels)

# vitro_on_device(TEST...): the environment of tests that may open a device. What was compiled is
# kept, and a word of the validation layers fails the test, whatever its program says.
function(vitro_on_device)
    set(environment ${VITRO_TEST_CACHES})
    if(VITRO_VALIDATION)
        list(APPEND environment VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation)
        set_property(TEST ${ARGN} APPEND PROPERTY FAIL_REGULAR_EXPRESSION "VUID-" "Validation Error")
    endif()
    set_property(TEST ${ARGN} APPEND PROPERTY ENVIRONMENT ${environment})
endfunction()

# vitro_compile_fast(TEST...): for tests of many kernels that each run once. Mesa's software driver compiles them
# without optimising, in two thirds of the time.
function(vitro_compile_fast)
    set_property(TEST ${ARGN} APPEND PROPERTY ENVIRONMENT GALLIVM_PERF=nopt)
endfunction()

# vitro_start_first(TEST...): for the longest tests, so that no processor waits for one at the end.
function(vitro_start_first)
    set_property(TEST ${ARGN} PROPERTY COST 100)
endfunction()
