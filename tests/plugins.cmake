# Environments as plugins: the example, and plugins/line.c once for each fault planted in it.

set(RV_PLUGIN_DIR ${CMAKE_CURRENT_BINARY_DIR}/plugins)
function(rv_plugin name source folder)
  add_library(plugin_${name} MODULE ${source})
  set_target_properties(plugin_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${folder})
  target_include_directories(plugin_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(plugin_${name} PRIVATE m)
  # nobody else may write what is loaded, whatever the umask
  add_custom_command(TARGET plugin_${name} POST_BUILD COMMAND chmod go-w $<TARGET_FILE:plugin_${name}> ${folder})
  add_dependencies(test_plugins plugin_${name})
endfunction()

rv_plugin(corridor ${PROJECT_SOURCE_DIR}/examples/plugin/corridor.c ${RV_PLUGIN_DIR})
foreach(fault NONE NONDETERMINISTIC SHARED_RANDOM SEEDS SEED_IGNORED BOUNDS NAN RESET_NAN FLAG MASK NOT_SAVED LOAD_RANDOM LOAD_REFUSES
              SAVE_UNWRITTEN SAVE_BEYOND CANARY CANARY_BEFORE RESET_CANARY ACTION CRASH EXIT ABI NO_TABLE)
  rv_plugin(line_${fault} plugins/line.c ${RV_PLUGIN_DIR})
  target_compile_definitions(plugin_line_${fault} PRIVATE FAULT_${fault})
endforeach()
target_compile_definitions(test_plugins PRIVATE RV_PLUGIN_DIR="${RV_PLUGIN_DIR}")

# the example program loads it from the folder that it runs in
add_custom_command(TARGET plugin_corridor POST_BUILD
                   COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:plugin_corridor> ${CMAKE_CURRENT_BINARY_DIR}/work/example_plugin/corridor.so
                   COMMAND chmod go-w ${CMAKE_CURRENT_BINARY_DIR}/work/example_plugin/corridor.so ${CMAKE_CURRENT_BINARY_DIR}/work/example_plugin)
add_dependencies(example_plugin plugin_corridor)

# and one is built outside the tree against an installed library
if(TARGET reverie_program AND CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT REVERIE_SANITIZE AND NOT REVERIE_COVERAGE)
  add_test(NAME package_plugin COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/package/plugin.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}
                                       ${CMAKE_CURRENT_BINARY_DIR}/work/package_plugin)
endif()
