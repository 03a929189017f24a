# contrail_discover_tests(<target> [LABELS ...] [TIMEOUT seconds]): one CTest test a Catch2 test case, so that each has a process, a
# time limit and a line in the report of its own. The program is asked for its cases when ctest starts, not while it is built, and only
# after it changed. A program without cases, or one that cannot be asked, is a failing test: nothing is left out silently. Programs of a
# cross build are run by CMAKE_CROSSCOMPILING_EMULATOR.
function(contrail_discover_tests target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "LABELS")
  set(list ${CMAKE_CURRENT_BINARY_DIR}/${target}_cases.cmake)
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake CONTENT
"set(program [[$<TARGET_FILE:${target}>]])
set(target [[${target}]])
set(list [[${list}]])
set(script [[${PROJECT_SOURCE_DIR}/cmake/contrail_list_cases.cmake]])
set(labels [[${arg_LABELS}]])
set(timeout [[${arg_TIMEOUT}]])
set(cmake [[${CMAKE_COMMAND}]])
set(emulator [[${CMAKE_CROSSCOMPILING_EMULATOR}]])
if(NOT EXISTS \"\${program}\" OR \"\${program}\" IS_NEWER_THAN \"\${list}\" OR \"\${script}\" IS_NEWER_THAN \"\${list}\")
  include(\"\${script}\")
endif()
include(\"\${list}\")
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake)
endfunction()
