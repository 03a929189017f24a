find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)

# Asio is compiled once, into contrail_asio. A program that brings an Asio target of its own (any configuration) names it here; Contrail
# is then compiled with exactly that configuration.
set(CONTRAIL_ASIO_TARGET "" CACHE STRING "An existing CMake target that provides standalone Asio and its configuration")
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)

if(CONTRAIL_URING)
  pkg_check_modules(liburing IMPORTED_TARGET liburing>=2.3)
endif()
if(CONTRAIL_SQLITE)
  find_package(SQLite3 3.37)
endif()
