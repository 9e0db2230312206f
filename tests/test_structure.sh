#!/usr/bin/env bash
# The rules of the tree: includes point one way, GPU words stay in backends/, files stay short,
# nothing is left open. Usage: test_structure.sh SOURCE_DIR
set -u
shopt -s nullglob globstar
cd "$1" || exit 1
failures=0
fail() {
    echo "error: $1"
    failures=$((failures + 1))
}

# folder -> the folders of ours that it may include, as a pattern over the included path
declare -A may=(
    [include]='reverie/'
    [core]='reverie/|core/'
    [backends]='reverie/|core/backend\.h|core/noise\.h|core/ops\.def|backends/[a-z_]+\.h'
    [backends/cpu]='reverie/|core/backend\.h|core/noise\.h|core/ops\.def|backends/[a-z_]+\.h|backends/cpu/'
    [backends/gpu]='reverie/|core/backend\.h|core/noise\.h|core/ops\.def|backends/[a-z_]+\.h|backends/gpu/'
    [backends/opencl]='reverie/|core/backend\.h|core/noise\.h|core/ops\.def|backends/((gpu|opencl)/|[a-z_]+\.h)'
    [backends/cuda]='reverie/|core/backend\.h|core/noise\.h|core/ops\.def|backends/((gpu|cuda)/|[a-z_]+\.h)'
    [models]='reverie/|models/'
    [agents]='reverie/|agents/'
    [envs]='reverie/|envs/'
    [experiments]='reverie/|experiments/'
    [bench]='reverie/|bench/|tests/(cases|support)/'
    [examples]='reverie/'
)

checked=0
for folder in "${!may[@]}"; do
    case $folder in
        backends) files=(backends/*.{c,h,inc}) ;;
        *) files=("$folder"/**/*.{c,h,inc}) ;;
    esac
    [ ${#files[@]} -gt 0 ] || continue
    checked=$((checked + ${#files[@]}))
    while IFS=: read -r file line text; do
        included=${text#*\"}
        included=${included%%\"*}
        # a name without a folder is a neighbour in the same folder
        [[ $included == */* ]] || included=${file%/*}/$included
        included=${included#include/}
        [[ $included =~ ^(${may[$folder]}) ]] || fail "$file:$line includes $included, which $folder/ may not"
    done < <(grep -nHE '^[ \t]*#[ \t]*include[ \t]*"' "${files[@]}")
done
[ "$checked" -ge 20 ] || fail "only $checked files found: is this the right folder?"

ours=(include core backends models agents envs experiments bench tests examples cmake)
existing=()
for folder in "${ours[@]}"; do [ -d "$folder" ] && existing+=("$folder"); done

# what a handle is, the manual must say by its name: comments in include/ may
gpu_words='\b(CU[a-z]+|cuda[A-Z]\w+|cublas\w+|nvrtc\w+|clEnqueue\w+|clCreate\w+|cl_mem|cl_kernel|CL/cl)\b'
while IFS= read -r hit; do
    fail "a CUDA or OpenCL word outside backends/: $hit"
done < <(grep -rnE --include='*.[ch]' --include='*.inc' "$gpu_words" include core models agents envs experiments 2>/dev/null |
             grep -vE '^include/[^:]*:[0-9]+:(/\*| \*)')

# golden data are written by scripts, not for reading
while read -r lines file; do
    [ "$file" = total ] || [ "$lines" -le 600 ] || fail "$file has $lines lines; 600 are the limit"
done < <(find "${existing[@]}" -path tests/golden -prune -o -type f \( -name '*.[ch]' -o -name '*.inc' -o -name '*.def' -o -name '*.sh' -o -name '*.py' -o -name '*.cmake' \) -exec wc -l {} +)

marks='TO''DO|FIX''ME|XX''X|HA''CK'
while IFS= read -r hit; do
    fail "left open: $hit"
done < <(grep -rnwE --include='*.[ch]' --include='*.inc' --include='*.sh' --include='*.py' --include='*.cmake' --include='CMakeLists.txt' "$marks" "${existing[@]}" quickstart CMakeLists.txt 2>/dev/null)

# the library itself never ends the process and never prints
while IFS= read -r hit; do
    fail "abort, exit or print in the library: $hit"
done < <(grep -nE '(^|[^_a-zA-Z.>"])(abort|exit|_exit|printf|puts|perror|putchar)[ ]*\(|std(out|err)\b' \
              core/*.c backends/*.{c,inc} backends/*/*.{c,inc} models/*.c agents/*.c envs/*.c 2>/dev/null | grep -vE '^[^:]*:[0-9]+:[ ]*(\*|/\*|//)')

if [ "$failures" -ne 0 ]; then
    echo "$failures broken rule(s)"
    exit 1
fi
echo "$checked files keep the rules"
