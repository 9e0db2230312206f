#!/usr/bin/env bash
# One long suite. Usage: suite.sh asan|tsan|dev|coverage|clang|valgrind|fuzz|fuzz_NAME SOURCE_DIR BUILD_DIR
# RV_FUZZ_SECONDS: how long one fuzz target runs (60).
set -eu
suite=$1 source=$2 plain=$3
build=$plain/suites/${suite/#fuzz_*/fuzz}
jobs=$(nproc)

build_with() { # PRESET OPTION...
    cmake -S "$source" -B "$build" --preset "$@" >"$build.log" || { cat "$build.log"; exit 1; }
    cmake --build "$build" -j "$jobs" >"$build.log" || { tail -n 60 "$build.log"; exit 1; }
}
run_tests() {
    ctest --test-dir "$build" -LE 'long|standin|nvrtc' -j "$jobs" --output-on-failure "$@"
}
# PoCL's compiler would take longer than everything else, each time anew; its suites are the plain build's
export OCL_ICD_VENDORS=/nonexistent
mkdir -p "$plain/suites"

case $suite in
    asan)
        # frames kept for use after return are aligned to 32 bytes, where AVX-512 wants 64
        export ASAN_OPTIONS=detect_stack_use_after_return=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
        build_with asan
        run_tests -E '^(header|structure|docs|quickstart|examples_in_step)'
        ;;
    tsan)
        # its shadow memory does not fit every layout that address randomisation may choose
        fixed=()
        if setarch -R true 2>/dev/null; then fixed=(setarch -R); fi
        export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
        build_with tsan
        "${fixed[@]}" ctest --test-dir "$build" -L threads -j "$jobs" --output-on-failure --no-tests=error
        ;;
    dev)
        cd "$source"
        cmake --workflow --preset dev
        ;;
    clang)
        build_with release -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++
        run_tests -E '^(structure|docs|quickstart|examples_in_step|package)'
        ;;
    coverage)
        build_with coverage
        find "$build" -name '*.gcda' -delete
        run_tests -E '^(header|structure|docs|quickstart|examples_in_step)'
        bash "$source/tests/coverage.sh" "$source" "$build" 90
        ;;
    valgrind)
        ctest --test-dir "$plain" -N -L valgrind | sed -n 's/^ *Test *#[0-9]*: //p' >"$build.tests"
        [ -s "$build.tests" ] || { echo "no tests carry the label valgrind"; exit 1; }
        while read -r name; do
            echo "valgrind: $name"
            (cd "$plain/tests/work/$name" && valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect \
                --errors-for-leak-kinds=definite,indirect "$plain/tests/test_$name") >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
        done <"$build.tests"
        echo "$(wc -l <"$build.tests") tests are clean"
        ;;
    fuzz)
        build_with fuzz
        ;;
    fuzz_*)
        corpus=$plain/suites/corpus/$suite
        mkdir -p "$corpus"
        seeds=()
        if [ -d "$source/tests/fuzz/corpus/${suite#fuzz_}" ]; then seeds=("$source/tests/fuzz/corpus/${suite#fuzz_}"); fi
        cd "$plain/suites" # a crash file lands here
        "$build/tests/$suite" -max_total_time="${RV_FUZZ_SECONDS:-60}" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
            "$corpus" "${seeds[@]}" >"$plain/suites/$suite.log" 2>&1 || { tail -n 60 "$plain/suites/$suite.log"; exit 1; }
        grep -E 'stat::(number_of_executed_units|average_exec_per_sec)' "$plain/suites/$suite.log"
        ;;
    *)
        echo "unknown suite: $suite"
        exit 2
        ;;
esac
