include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(CONTRAIL_ASIO_TARGET)
  get_target_property(asio_is_imported ${CONTRAIL_ASIO_TARGET} IMPORTED)
  if(NOT asio_is_imported)
    message(FATAL_ERROR "Contrail: ${CONTRAIL_ASIO_TARGET} (CONTRAIL_ASIO_TARGET) belongs to this build, so Contrail cannot be installed on its own. Set CONTRAIL_INSTALL=OFF.")
  endif()
endif()

if(CONTRAIL_SQLITE_TARGET AND TARGET contrail_sqlite)
  get_target_property(sqlite_is_imported ${CONTRAIL_SQLITE_TARGET} IMPORTED)
  if(NOT sqlite_is_imported)
    message(FATAL_ERROR "Contrail: ${CONTRAIL_SQLITE_TARGET} (CONTRAIL_SQLITE_TARGET) belongs to this build, so Contrail cannot be installed on its own. Set CONTRAIL_INSTALL=OFF.")
  endif()
endif()

set(contrail_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/contrail)
set(contrail_installed contrail_asio contrail_io contrail_core contrail_pagestore contrail_testing)
if(TARGET contrail_sqlite)
  list(APPEND contrail_installed contrail_sqlite)
endif()
install(TARGETS ${contrail_installed} EXPORT contrail_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT contrail_targets NAMESPACE contrail:: FILE contrailTargets.cmake DESTINATION ${contrail_package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/contrailConfig.cmake.in ${PROJECT_BINARY_DIR}/contrailConfig.cmake
                              INSTALL_DESTINATION ${contrail_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/contrailConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/contrailConfig.cmake ${PROJECT_BINARY_DIR}/contrailConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/contrail_find_asio.cmake
        DESTINATION ${contrail_package_dir})
