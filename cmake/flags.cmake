# Compile and link flags of everything in this project; consumers inherit none of them.

# no -ffast-math, no contraction: a fused multiply-add stands only where fma is written
add_compile_options(-Wall -Wextra -fno-math-errno -fno-trapping-math -ffp-contract=off)
if(REVERIE_WERROR)
  add_compile_options(-Werror)
endif()

if(REVERIE_SANITIZE)
  add_compile_options(-fsanitize=${REVERIE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${REVERIE_SANITIZE})
endif()

if(REVERIE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
endif()
