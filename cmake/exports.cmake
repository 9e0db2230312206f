# The shared library exports exactly the functions that include/reverie/ declares RV_API:
# internal names begin with rv_ as well, so the linker is given the list.

file(GLOB RV_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/reverie/*.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${RV_HEADERS})
set(RV_EXPORTS "")
foreach(header ${RV_HEADERS})
  file(READ ${header} text)
  string(REGEX MATCHALL "RV_API[ \n][^;(]*[ \n*]rv_[a-z0-9_]+\\(" declarations "${text}")
  foreach(declaration ${declarations})
    string(REGEX REPLACE ".*[ \n*](rv_[a-z0-9_]+)\\($" "\\1" name "${declaration}")
    list(APPEND RV_EXPORTS ${name})
  endforeach()
endforeach()
list(SORT RV_EXPORTS)

list(JOIN RV_EXPORTS "\n" lines)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/exports.txt CONTENT "@lines@\n" @ONLY)
list(JOIN RV_EXPORTS ";\n        " lines)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/exports.map @ONLY
     CONTENT "REVERIE_@PROJECT_VERSION_MAJOR@ {\n    global:\n        @lines@;\n    local:\n        *;\n};\n")

function(rv_export_only_declared target)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_options(${target} PRIVATE -Wl,--version-script=${PROJECT_BINARY_DIR}/exports.map)
    if(NOT REVERIE_SANITIZE)
      target_link_options(${target} PRIVATE -Wl,--no-undefined)
    endif()
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${PROJECT_BINARY_DIR}/exports.map)
  endif()
endfunction()
