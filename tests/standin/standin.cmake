# Stand-ins for NVIDIA's libraries and the tests that run the CUDA backend on them: no hardware, never installed.
# RV_STANDIN is the environment that makes a program load them; see standin.h.

if(NOT TARGET reverie_backend_cuda OR REVERIE_SANITIZE OR NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  return()
endif()
find_program(STANDIN_CXX NAMES c++ g++ clang++)
if(NOT STANDIN_CXX)
  message(STATUS "no C++ compiler: the CUDA backend is not run on the stand-in driver")
  return()
endif()

set(folder ${PROJECT_BINARY_DIR}/standin)
function(rv_add_standin name version)
  add_library(standin_${name} SHARED ${ARGN})
  target_include_directories(standin_${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  set_target_properties(standin_${name} PROPERTIES OUTPUT_NAME ${name} SOVERSION ${version} LIBRARY_OUTPUT_DIRECTORY ${folder})
  target_link_options(standin_${name} PRIVATE -Wl,--no-undefined)
endfunction()
set(here ${CMAKE_CURRENT_LIST_DIR})
rv_add_standin(cuda 1 ${here}/context.c ${here}/memory.c ${here}/stream.c ${here}/run.c)
target_link_libraries(standin_cuda PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
rv_add_standin(nvrtc 13 ${here}/nvrtc.c)
target_compile_definitions(standin_nvrtc PRIVATE STANDIN_CXX="${STANDIN_CXX}" STANDIN_PRELUDE="${here}/prelude.h")
rv_add_standin(cublas 13 ${here}/cublas.c)
target_link_libraries(standin_cublas PRIVATE standin_cuda)

file(MAKE_DIRECTORY ${folder}/cache)
set(RV_STANDIN "LD_LIBRARY_PATH=${folder}:$ENV{LD_LIBRARY_PATH}" "XDG_CACHE_HOME=${folder}/cache")

# what every device passes, through the backend's own host code and kernel text. Each plan has programs of its own, about
# 1500 in all cases, and the host's compiler builds them the first time.
function(rv_on_standin name program)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/work/standin_${name})
  file(MAKE_DIRECTORY ${folder})
  add_test(NAME standin_${name} COMMAND ${program} ${ARGN} WORKING_DIRECTORY ${folder})
  set_tests_properties(standin_${name} PROPERTIES TIMEOUT 2400 LABELS standin ENVIRONMENT "${RV_STANDIN}")
endfunction()
rv_on_standin(conformance test_conformance cuda:0)
rv_on_standin(check test_conformance check:cuda:0)
rv_on_standin(products test_conformance cuda:0,cublas=always)
rv_on_standin(noise test_noise cuda:0)
rv_on_standin(golden test_golden_ops cuda:0)
rv_on_standin(dreamer_parity test_dreamer_parity cuda:0)
rv_on_standin(device_agents test_device_agents cuda:0)
# minutes; the second has the same kernels as the first, each in guarded memory
set_tests_properties(standin_conformance standin_check PROPERTIES LABELS "standin;long")
set_property(TEST standin_products APPEND PROPERTY ENVIRONMENT "RV_CASES=matmul linear")

# the entry points that the backend declares are those of NVIDIA's headers, where there are some
find_path(RV_CUDA_HEADERS cuda.h PATHS /usr/local/cuda/include)
if(RV_CUDA_HEADERS)
  add_test(NAME cuda_signatures COMMAND ${CMAKE_C_COMPILER} -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -I${PROJECT_SOURCE_DIR}
                                        -I${PROJECT_SOURCE_DIR}/include -I${RV_CUDA_HEADERS} ${here}/../cuda_signatures.c)
endif()

foreach(name standin standin_cuda standin_faults standin_training)
  add_executable(test_${name} ${here}/test_${name}.c)
  target_sources(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/backends/cuda/driver.c ${PROJECT_SOURCE_DIR}/backends/cuda/compile.c)
  target_link_libraries(test_${name} PRIVATE reverie_test_support reverie_internal PkgConfig::CMOCKA)
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${folder})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900 LABELS standin ENVIRONMENT "${RV_STANDIN}")
endforeach()

# the one command for a machine with a GPU, whole: it builds the tree anew and takes every step that needs none
find_program(RV_PYTHON python3)
if(RV_PYTHON AND TARGET reverie-bench AND NOT REVERIE_COVERAGE)
  set(work ${PROJECT_BINARY_DIR}/standin/gpu_check)
  add_test(NAME suite_gpu_check COMMAND ${RV_PYTHON} ${PROJECT_SOURCE_DIR}/bench/gpu_check --standin --dirty --minutes 25
                                        --records ${work}/records --cache ${work}/cache)
  set_tests_properties(suite_gpu_check PROPERTIES TIMEOUT 1800 LABELS "standin;long" PROCESSORS 2)
endif()
