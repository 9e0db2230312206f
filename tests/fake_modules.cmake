# Modules planted for test_modules.c: modules/fake.c, whole under the two names that the registry knows, and once for each
# thing that must be refused. The program lies in a folder of its own, with the whole ones where it looks for modules.

set(RV_MODULES_DIR ${CMAKE_CURRENT_BINARY_DIR}/modules)
function(rv_fake_module target name folder output)
  add_library(${target} MODULE modules/fake.c)
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${output} LIBRARY_OUTPUT_DIRECTORY ${folder})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_compile_definitions(${target} PRIVATE FAKE_NAME="${name}" ${ARGN})
  add_custom_command(TARGET ${target} POST_BUILD COMMAND chmod go-w $<TARGET_FILE:${target}>)
  add_dependencies(test_modules ${target})
endfunction()

foreach(name cuda opencl)
  rv_fake_module(fake_${name} ${name} ${RV_MODULES_DIR}/${RV_BACKEND_DIR} ${name})
endforeach()
foreach(fault NONE ABI SIZE NO_TABLE ABSENT)
  rv_fake_module(fake_${fault} fake ${RV_MODULES_DIR} ${fault} FAKE_${fault})
endforeach()

# what fake_ABSENT is linked with stays where nobody looks for it
add_library(fake_absent SHARED modules/absent.c)
target_include_directories(fake_absent PRIVATE ${PROJECT_SOURCE_DIR}/include)
set_target_properties(fake_absent PROPERTIES OUTPUT_NAME reverie_absent LIBRARY_OUTPUT_DIRECTORY ${RV_MODULES_DIR}/elsewhere)
target_link_libraries(fake_ABSENT PRIVATE fake_absent)
set_target_properties(fake_ABSENT PROPERTIES SKIP_BUILD_RPATH ON)

set_target_properties(test_modules PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${RV_MODULES_DIR})
target_compile_definitions(test_modules PRIVATE RV_MODULES_DIR="${RV_MODULES_DIR}")
