# Contrail from outside: installed and found by find_package, and embedded with add_subdirectory. Each is a small project of its own.
set(folder ${PROJECT_BINARY_DIR}/consumer)
set(prefix ${folder}/prefix)
set(how --build-generator ${CMAKE_GENERATOR} --build-noclean)
set(options -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER})

add_test(NAME "consumer: install" COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${prefix})
add_test(NAME "consumer: find_package brings all that a program needs"
  COMMAND ${CMAKE_CTEST_COMMAND} --build-and-test ${CMAKE_CURRENT_LIST_DIR}/installed ${folder}/installed ${how}
          --build-options ${options} -DCMAKE_PREFIX_PATH=${prefix} --test-command ${folder}/installed/consumer ${folder}/installed.tmp)
add_test(NAME "consumer: other settings for Asio do not link"
  COMMAND ${CMAKE_COMMAND} --build ${folder}/installed --target clash)
add_test(NAME "consumer: add_subdirectory with an Asio target of its own"
  COMMAND ${CMAKE_CTEST_COMMAND} --build-and-test ${CMAKE_CURRENT_LIST_DIR}/embedded ${folder}/embedded ${how} --build-target consumer
          --build-options ${options} -DCONTRAIL_SOURCE=${PROJECT_SOURCE_DIR} --test-command ${folder}/embedded/consumer ${folder}/embedded.tmp)

set(names "consumer: install" "consumer: find_package brings all that a program needs" "consumer: other settings for Asio do not link"
          "consumer: add_subdirectory with an Asio target of its own")
set_tests_properties(${names} PROPERTIES LABELS consumer TIMEOUT 600)
if(CONTRAIL_CCACHE)
  set_tests_properties(${names} PROPERTIES
    ENVIRONMENT "CMAKE_CXX_COMPILER_LAUNCHER=${CONTRAIL_CCACHE};CCACHE_BASEDIR=${PROJECT_SOURCE_DIR};CCACHE_NOHASHDIR=1")
endif()
set_tests_properties("consumer: install" PROPERTIES FIXTURES_SETUP consumer_prefix)
set_tests_properties("consumer: find_package brings all that a program needs" PROPERTIES
  FIXTURES_REQUIRED consumer_prefix FIXTURES_SETUP consumer_project)
set_tests_properties("consumer: other settings for Asio do not link" PROPERTIES FIXTURES_REQUIRED "consumer_prefix;consumer_project"
  PASS_REGULAR_EXPRESSION "undefined reference to .*asio_configuration<.*epoll<false>")

if(TARGET contrail_sqlite)
  find_program(CONTRAIL_SQLITE_SHELL sqlite3)
  if(CONTRAIL_SQLITE_SHELL)
    add_test(NAME "consumer: the example of the README backs up a database" COMMAND ${CMAKE_COMMAND}
      -Dshell=${CONTRAIL_SQLITE_SHELL} -Dprogram=${folder}/installed/nightly -Dcontrail=$<$<TARGET_EXISTS:contrail>:$<TARGET_FILE:contrail>>
      -Dfolder=${folder}/nightly -P ${CMAKE_CURRENT_LIST_DIR}/nightly.cmake)
    set_tests_properties("consumer: the example of the README backs up a database" PROPERTIES LABELS consumer TIMEOUT 120
      FIXTURES_REQUIRED "consumer_prefix;consumer_project")
  endif()
endif()
