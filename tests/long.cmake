# The suites of `./quickstart test --all`: each configures a build of its own below this one
# and runs the tests in it. Only a plain build has them.

if(REVERIE_SANITIZE OR REVERIE_COVERAGE OR REVERIE_FUZZ OR NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()

foreach(suite asan tsan dev coverage clang valgrind)
  add_test(NAME suite_${suite} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/suite.sh ${suite} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  set_tests_properties(suite_${suite} PROPERTIES LABELS long PROCESSORS 2 TIMEOUT 1500)
endforeach()

# every fuzz/fuzz_NAME.c for a minute, from the corpus in fuzz/corpus/NAME/
add_test(NAME suite_fuzz_build COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/suite.sh fuzz ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
set_tests_properties(suite_fuzz_build PROPERTIES LABELS long PROCESSORS 2 TIMEOUT 600 FIXTURES_SETUP fuzz)
file(GLOB RV_FUZZ CONFIGURE_DEPENDS fuzz/fuzz_*.c)
foreach(source ${RV_FUZZ})
  cmake_path(GET source STEM name)
  add_test(NAME suite_${name} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/suite.sh ${name} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  set_tests_properties(suite_${name} PROPERTIES LABELS long TIMEOUT 300 FIXTURES_REQUIRED fuzz)
endforeach()

# each failure at every call on OpenCL, where that is built; the plain run takes every seventh transfer
if(TARGET reverie_backend_opencl)
  add_test(NAME suite_faults_opencl COMMAND test_faults opencl:0 WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/work/faults)
  set_tests_properties(suite_faults_opencl PROPERTIES LABELS long TIMEOUT 2400)
endif()

# a hundred kills of every job at random moments, each followed by a resumption
if(TARGET reverie_program)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/work/program_kills)
  file(MAKE_DIRECTORY ${folder})
  add_test(NAME suite_program_kills COMMAND test_program_kills WORKING_DIRECTORY ${folder})
  set_tests_properties(suite_program_kills PROPERTIES LABELS long TIMEOUT 2400
                       ENVIRONMENT "REVERIE_PROGRAM=$<TARGET_FILE:reverie_program>;RV_KILLS=100")
endif()
