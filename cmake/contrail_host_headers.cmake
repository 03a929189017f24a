# Libraries that are headers only serve a cross build as they serve the host, but /usr/include must never be given to the cross compiler:
# the host's C library would come first. So each is linked into a folder of its own.
set(contrail_host_headers ${PROJECT_BINARY_DIR}/host-headers)
set(CONTRAIL_HOST_INCLUDE /usr/include CACHE PATH "Cross builds: where the headers of Asio, fmt, nlohmann-json, CLI11, xxHash and Catch2 are")
file(MAKE_DIRECTORY ${contrail_host_headers})
foreach(name IN ITEMS asio asio.hpp fmt nlohmann CLI xxhash.h xxh3.h catch2)
  if(NOT EXISTS ${CONTRAIL_HOST_INCLUDE}/${name})
    message(FATAL_ERROR "Contrail: ${CONTRAIL_HOST_INCLUDE}/${name} was not found; .ci/setup --windows installs it on Debian.")
  endif()
  file(CREATE_LINK ${CONTRAIL_HOST_INCLUDE}/${name} ${contrail_host_headers}/${name} SYMBOLIC)
endforeach()

set(ASIO_INCLUDE_DIR ${contrail_host_headers})
set(XXHASH_INCLUDE_DIR ${contrail_host_headers})
foreach(library IN ITEMS fmt::fmt nlohmann_json::nlohmann_json Catch2::Catch2)
  add_library(${library} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${library} SYSTEM INTERFACE ${contrail_host_headers})
endforeach()
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY=1)
include_directories(SYSTEM ${contrail_host_headers})   # CLI11
