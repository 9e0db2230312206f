# What `cmake --install` puts in place: library, headers, find_package(reverie), pkg-config reverie.

include(CMakePackageConfigHelpers)
set(RV_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/reverie)

install(TARGETS reverie EXPORT reverieTargets LIBRARY COMPONENT library NAMELINK_COMPONENT development)
install(DIRECTORY include/reverie DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")
install(EXPORT reverieTargets NAMESPACE reverie:: DESTINATION ${RV_CMAKE_DIR} COMPONENT development)

configure_package_config_file(cmake/reverieConfig.cmake.in reverieConfig.cmake INSTALL_DESTINATION ${RV_CMAKE_DIR}
                              NO_SET_AND_CHECK_MACRO)
# before 1.0 a new minor version may break
write_basic_package_version_file(reverieConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/reverieConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/reverieConfigVersion.cmake
        DESTINATION ${RV_CMAKE_DIR} COMPONENT development)

# the prefix is found from the file's own place, so that an installed tree can be moved
file(RELATIVE_PATH RV_PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" RV_PC_TO_PREFIX "${RV_PC_TO_PREFIX}")
configure_file(cmake/reverie.pc.in reverie.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/reverie.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
