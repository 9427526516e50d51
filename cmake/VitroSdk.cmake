# The SDK: what an author of plugins includes, links and starts from. It is laid out below the build folder as
# it is below a prefix, so that either can be given to find_package or pkg-config. Its version is the
# contract's, which vitro/method.h states: the program has another.
file(STRINGS ${CMAKE_SOURCE_DIR}/include/vitro/method.h numbers REGEX "^#define VITRO_ABI_(MAJOR|LATEST) [0-9]+")
string(REGEX REPLACE "[^0-9;]*([0-9]+)[^;]*" "\\1" numbers "${numbers}")
list(JOIN numbers . VITRO_CONTRACT_VERSION)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/vitro/method.h)

add_library(vitro_sdk INTERFACE)
add_library(Vitro::sdk ALIAS vitro_sdk)
target_include_directories(vitro_sdk INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/sdk)

include(CMakePackageConfigHelpers)
set(package ${CMAKE_BINARY_DIR}/lib/cmake/Vitro)
configure_file(${CMAKE_CURRENT_LIST_DIR}/VitroConfig.cmake.in ${package}/VitroConfig.cmake @ONLY)
configure_file(${CMAKE_CURRENT_LIST_DIR}/VitroPlugin.cmake ${package}/VitroPlugin.cmake COPYONLY)
write_basic_package_version_file(${package}/VitroConfigVersion.cmake VERSION ${VITRO_CONTRACT_VERSION}
                                 COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
configure_file(${CMAKE_CURRENT_LIST_DIR}/vitro.pc.in ${CMAKE_BINARY_DIR}/lib/pkgconfig/vitro.pc @ONLY)

file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/vitro/*.h ${CMAKE_SOURCE_DIR}/sdk/vitro/*.h)
foreach(header ${headers})
    get_filename_component(name ${header} NAME)
    configure_file(${header} ${CMAKE_BINARY_DIR}/include/vitro/${name} COPYONLY)
endforeach()

# The places are fixed below the prefix, as the program finds its plugins relative to itself.
install(TARGETS vitro RUNTIME DESTINATION bin)
install(FILES ${headers} DESTINATION include/vitro)
install(DIRECTORY ${package} DESTINATION lib/cmake)
install(FILES ${CMAKE_BINARY_DIR}/lib/pkgconfig/vitro.pc DESTINATION lib/pkgconfig)
install(DIRECTORY sdk/template examples/tutorial examples/ssf_kernel DESTINATION share/vitro)
install(FILES sdk/README.md DESTINATION share/vitro RENAME sdk.md)
install(FILES LICENSE docs/contract.md DESTINATION share/doc/vitro)
foreach(method ${VITRO_METHODS})
    install(TARGETS vitro_plugin_${method} LIBRARY DESTINATION lib/vitro/plugins)
endforeach()
