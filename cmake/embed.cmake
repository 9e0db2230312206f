# Texts as C arrays. rv_embed(FILE.c "NAME=FILE+FILE" ...) in a CMakeLists.txt; FILE.c then holds `const char NAME[]`
# with the files' text, one behind the other, and is made anew when one of them changes.

function(rv_embed output)
  set(depends "")
  foreach(entry ${ARGN})
    string(REGEX REPLACE "^[^=]*=" "" files ${entry})
    string(REPLACE "+" ";" files ${files})
    list(APPEND depends ${files})
  endforeach()
  list(JOIN ARGN "|" entries)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  add_custom_command(OUTPUT ${output} DEPENDS ${depends} ${script} VERBATIM
                     COMMAND ${CMAKE_COMMAND} -D OUTPUT=${output} -D "ENTRIES=${entries}" -P ${script})
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

# the script behind it
set(text "/* made by cmake/embed.cmake */\n")
string(REPLACE "|" ";" ENTRIES "${ENTRIES}")
foreach(entry ${ENTRIES})
  string(REGEX MATCH "^([^=]*)=(.*)$" whole ${entry})
  set(name ${CMAKE_MATCH_1})
  string(REPLACE "+" ";" files ${CMAKE_MATCH_2})
  string(APPEND text "extern const char ${name}[];\nconst char ${name}[] =\n")
  foreach(file ${files})
    file(READ ${file} content)
    string(REPLACE "\\" "\\\\" content "${content}")
    string(REPLACE "\"" "\\\"" content "${content}")
    string(REPLACE "\n" "\\n\"\n\"" content "${content}")
    string(APPEND text "\"${content}\"\n")
  endforeach()
  string(APPEND text ";\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
