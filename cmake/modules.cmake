# Backends: those linked into the library, and modules in the folder reverie-backends beside it. The list below is what
# backends/registry.c knows, in the order that "auto" tries; a module left out of the build keeps its line.

include(embed)

set(REVERIE_CUDA AUTO CACHE STRING "The CUDA backend: AUTO, ON or OFF (needs neither toolkit nor driver to build)")
set(REVERIE_OPENCL AUTO CACHE STRING "The OpenCL backend: AUTO, ON or OFF (needs an ICD loader and its headers)")
set_property(CACHE REVERIE_CUDA REVERIE_OPENCL PROPERTY STRINGS AUTO ON OFF)

set(RV_BACKEND_DIR reverie-backends)
set(RV_BACKEND_BUILD_DIR ${PROJECT_BINARY_DIR}/${RV_BACKEND_DIR})
if(CMAKE_LIBRARY_OUTPUT_DIRECTORY)
  set(RV_BACKEND_BUILD_DIR ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/${RV_BACKEND_DIR})
endif()
set(RV_BACKEND_TARGETS "")
set(RV_BACKEND_LINES "")

# ---- what the GPU backends share: backends/gpu with its kernels' text -------------------------------------

# backends/gpu/kernels/NAME.k becomes `const char rv_gpu_text_NAME[]`; common begins with what the host has, too
file(GLOB RV_GPU_SOURCES CONFIGURE_DEPENDS backends/gpu/*.c)
file(GLOB RV_GPU_KERNELS CONFIGURE_DEPENDS backends/gpu/kernels/*.k)
if(RV_GPU_SOURCES)
  set(entries "")
  foreach(kernel ${RV_GPU_KERNELS})
    cmake_path(GET kernel STEM name)
    if(name STREQUAL common)
      set(gpu ${PROJECT_SOURCE_DIR}/backends/gpu)
      set(kernel ${gpu}/args.h+${gpu}/rounded_sqrt.h+${PROJECT_SOURCE_DIR}/core/noise_common.h+${kernel})
    endif()
    if(name STREQUAL map)
      set(kernel ${PROJECT_SOURCE_DIR}/backends/gpu/sine.h+${kernel})
    endif()
    list(APPEND entries rv_gpu_text_${name}=${kernel})
  endforeach()
  rv_embed(${PROJECT_BINARY_DIR}/gpu_texts.c ${entries})
  # linked into each module, and into tests
  add_library(reverie_gpu STATIC EXCLUDE_FROM_ALL ${RV_GPU_SOURCES} ${PROJECT_BINARY_DIR}/gpu_texts.c)
  target_include_directories(reverie_gpu PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(reverie_gpu PUBLIC m)
endif()

# ---- modules ------------------------------------------------------------------------------------------------

set(RV_MODULE_EXPORTS ${PROJECT_BINARY_DIR}/module_exports.map)
file(CONFIGURE OUTPUT ${RV_MODULE_EXPORTS} CONTENT "{\n    global:\n        rv_backend_module;\n    local:\n        *;\n};\n")

# rv_add_backend_module(NAME LIBRARY...): NAME.so from backends/NAME/*.c and backends/gpu;
# backends/NAME/kernels/KERNEL.k becomes `const char rv_NAME_text_KERNEL[]`
function(rv_add_backend_module name)
  file(GLOB sources CONFIGURE_DEPENDS backends/${name}/*.c)
  file(GLOB kernels CONFIGURE_DEPENDS backends/${name}/kernels/*.k)
  set(entries "")
  foreach(kernel ${kernels})
    cmake_path(GET kernel STEM stem)
    list(APPEND entries rv_${name}_text_${stem}=${kernel})
  endforeach()
  if(entries)
    rv_embed(${PROJECT_BINARY_DIR}/${name}_texts.c ${entries})
    list(APPEND sources ${PROJECT_BINARY_DIR}/${name}_texts.c)
  endif()
  set(target reverie_backend_${name})
  add_library(${target} MODULE ${sources})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(${target} PRIVATE ${ARGN} Threads::Threads ${CMAKE_DL_LIBS} m)
  if(TARGET reverie_gpu)
    target_link_libraries(${target} PRIVATE reverie_gpu)
  endif()
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${RV_BACKEND_BUILD_DIR})
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_options(${target} PRIVATE -Wl,--version-script=${RV_MODULE_EXPORTS})
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${RV_MODULE_EXPORTS})
    if(NOT REVERIE_SANITIZE)
      target_link_options(${target} PRIVATE -Wl,--no-undefined) # what the library has is asked for by services
    endif()
  endif()
  # the library loads no file that others may write, whatever the umask
  add_custom_command(TARGET ${target} POST_BUILD COMMAND chmod go-w $<TARGET_FILE:${target}>)
  install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/${RV_BACKEND_DIR} COMPONENT ${name})
endfunction()

# Whether a module is built: *wanted = its option, where there are sources for it.
function(rv_module_wanted name option wanted)
  file(GLOB sources CONFIGURE_DEPENDS backends/${name}/*.c)
  set(answer ${option})
  if(NOT sources)
    set(answer OFF)
  endif()
  set(${wanted} ${answer} PARENT_SCOPE)
endfunction()

# One line of the list: kind MODULE or LINKED; built 1 or 0; how to get it into a build; what it needs to run.
macro(rv_list_backend kind name built to_build to_run)
  string(APPEND RV_BACKEND_LINES "    ${kind}(${name}, ${built}, \"${to_build}\", \"${to_run}\") \\\n")
  if(${kind} STREQUAL MODULE AND ${built})
    list(APPEND RV_BACKEND_TARGETS reverie_backend_${name})
  endif()
endmacro()

# ---- the list ---------------------------------------------------------------------------------------------------

rv_module_wanted(cuda ${REVERIE_CUDA} wanted)
set(built 0)
if(wanted STREQUAL AUTO AND NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  set(wanted OFF)
endif()
if(wanted)
  rv_add_backend_module(cuda)
  set(built 1)
endif()
rv_list_backend(MODULE cuda ${built} "build reverie with -DREVERIE_CUDA=ON, which needs no toolkit"
                "it needs the NVIDIA driver (libcuda.so.1; packages nvidia-driver, libcuda1)")

rv_module_wanted(opencl ${REVERIE_OPENCL} wanted)
set(built 0)
if(wanted)
  if(wanted STREQUAL AUTO)
    pkg_check_modules(OPENCL QUIET IMPORTED_TARGET OpenCL)
    find_path(RV_OPENCL_HEADERS CL/cl.h)
  else()
    pkg_check_modules(OPENCL REQUIRED IMPORTED_TARGET OpenCL)
    find_path(RV_OPENCL_HEADERS CL/cl.h REQUIRED)
  endif()
  if(OPENCL_FOUND AND RV_OPENCL_HEADERS)
    rv_add_backend_module(opencl PkgConfig::OPENCL)
    set(built 1)
  endif()
endif()
rv_list_backend(MODULE opencl ${built} "install ocl-icd-opencl-dev and opencl-headers and build reverie with -DREVERIE_OPENCL=ON"
                "it needs an ICD loader and a driver (packages ocl-icd-libopencl1 and your GPU's, or pocl-opencl-icd)")

rv_list_backend(LINKED cpu 1 "" "")

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/backends/list.h @ONLY CONTENT
"/* backends/list.h: the devices there are, best first. Made by cmake/modules.cmake. */
#ifndef RV_BACKENDS_LIST_H
#define RV_BACKENDS_LIST_H

#define RV_BACKEND_FOLDER \"@RV_BACKEND_DIR@\"

/* KIND(name, built, how to get it into a build, what it needs to run) */
#define RV_BACKEND_LIST(MODULE, LINKED) \\
@RV_BACKEND_LINES@
#endif
")

# Programs that link the library's parts statically look beside themselves.
function(rv_link_backends folder)
  file(MAKE_DIRECTORY ${RV_BACKEND_BUILD_DIR})
  file(CREATE_LINK ${RV_BACKEND_BUILD_DIR} ${folder}/${RV_BACKEND_DIR} SYMBOLIC)
endfunction()
