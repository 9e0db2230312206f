# What every device passes, on OpenCL: PoCL's in CI. The label opencl names them.

if(NOT TARGET reverie_backend_opencl OR REVERIE_SANITIZE OR REVERIE_COVERAGE)
  return()
endif()

function(rv_on_opencl name program)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/work/opencl_${name})
  file(MAKE_DIRECTORY ${folder})
  add_test(NAME opencl_${name} COMMAND ${program} ${ARGN} WORKING_DIRECTORY ${folder})
  # kernels that were built lie in the build folder, PoCL's too
  set_tests_properties(opencl_${name} PROPERTIES TIMEOUT 2400 LABELS "opencl;long" ENVIRONMENT "XDG_CACHE_HOME=${folder}/..")
endfunction()
rv_on_opencl(conformance test_conformance opencl:0)
# in guarded memory, launch by launch
rv_on_opencl(check test_conformance check:opencl:0)
# DreamerV3: actor, critic and whole updates against the float64 golden files
rv_on_opencl(dreamer_parts test_dreamer_parts opencl:0)
rv_on_opencl(dreamer_parity test_dreamer_parity opencl:0)

add_library(opencl_fill SHARED ${CMAKE_CURRENT_LIST_DIR}/fill.c)
find_program(RV_OCLGRIND oclgrind)
if(RV_OCLGRIND)
  foreach(what races values all) # "all" takes hours, by hand: ctest -L campaign
    add_test(NAME suite_oclgrind_${what} COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/oclgrind.sh $<TARGET_FILE:test_conformance>
                                         $<TARGET_FILE:opencl_fill> ${CMAKE_CURRENT_BINARY_DIR}/work/oclgrind_${what} ${what})
    set_tests_properties(suite_oclgrind_${what} PROPERTIES LABELS long TIMEOUT 1800)
  endforeach()
  set_tests_properties(suite_oclgrind_all PROPERTIES LABELS "long;campaign" TIMEOUT 36000)
endif()

if(TARGET reverie-bench-enqueue)
  add_test(NAME bench_enqueue COMMAND reverie-bench-enqueue)
  set_tests_properties(bench_enqueue PROPERTIES TIMEOUT ${RV_TIMEOUT} LABELS opencl SKIP_RETURN_CODE 77)
endif()
