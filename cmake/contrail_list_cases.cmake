# Run by ctest (contrail_discover_tests): writes ${list} with an add_test for each case of ${program}.
set(cases "")
set(trouble "")
if(NOT EXISTS "${program}")
  set(trouble "was not built")
else()
  # Catch2 v2: the exit status is the number of cases.
  execute_process(COMMAND ${emulator} "${program}" --list-test-names-only OUTPUT_VARIABLE cases ERROR_VARIABLE errors RESULT_VARIABLE status TIMEOUT 60)
  if(NOT status MATCHES "^[0-9]+$")
    set(trouble "did not list its cases: ${status} ${errors}")
  elseif(cases STREQUAL "")
    set(trouble "has no test case")
  endif()
endif()

if(trouble)
  file(REMOVE "${list}")
  set(list "${list}.failed.cmake")
  file(WRITE "${list}" "add_test([==[${target}: ${trouble}]==] [==[${cmake}]==] -E false)\n")
  return()
endif()

string(REPLACE ";" "\\;" cases "${cases}")
string(REPLACE "\r" "" cases "${cases}")
string(REGEX REPLACE "\n+$" "" cases "${cases}")
string(REPLACE "\n" ";" cases "${cases}")
set(text "")
set(command "")
foreach(word IN LISTS emulator)
  string(APPEND command "[==[${word}]==] ")
endforeach()
foreach(name IN LISTS cases)
  # A name is a pattern to Catch2. "-w NoTests" makes a pattern that fits nothing a failure.
  string(REGEX REPLACE "([][,\\\\])" "\\\\\\1" pattern "${name}")
  string(APPEND text
    "add_test([==[${target}: ${name}]==] ${command}[==[${program}]==] [==[${pattern}]==] -w NoTests)\n"
    "set_tests_properties([==[${target}: ${name}]==] PROPERTIES LABELS [==[${labels}]==] TIMEOUT ${timeout})\n")
endforeach()
file(WRITE "${list}" "${text}")
