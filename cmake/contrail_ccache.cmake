# ccache when it is there, told to see through the place of the checkout: paths below the source folder are made relative before hashing,
# and the compiler's working directory is left out. So a second checkout, or CI's fresh clone, hits what the first one compiled.
find_program(CONTRAIL_CCACHE ccache DOC "ccache, or OFF")
mark_as_advanced(CONTRAIL_CCACHE)
if(CONTRAIL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CONTRAIL_CCACHE})
endif()
