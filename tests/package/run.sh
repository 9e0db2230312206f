#!/usr/bin/env bash
# Builds and runs the outside consumer in C11 and C++17.
# Usage: run.sh find_package|pkg_config|add_subdirectory SOURCE_DIR BUILD_DIR WORK_DIR
set -eu
how=$1 source=$2 build=$3 work=$4
rm -rf "$work"
mkdir -p "$work"
unset LD_LIBRARY_PATH

if [ "$how" != add_subdirectory ]; then
    # installed in one place, moved to another, and the first is gone
    cmake --install "$build" --prefix "$work/first" >"$work/install.log"
    mv "$work/first" "$work/moved here"
    prefix="$work/moved here"
    ! grep -rlF -e "$work/first" -e "$build" "$prefix" --include='*.cmake' --include='*.pc' || { echo "the prefix is written down"; exit 1; }
fi
case $how in
    find_package)
        cmake -S "$source/tests/package" -B "$work/consumer" -G Ninja -DCMAKE_PREFIX_PATH="$prefix"
        cmake --build "$work/consumer"
        "$work/consumer/consumer_c"
        "$work/consumer/consumer_cc"
        ;;
    add_subdirectory)
        cmake -S "$source/tests/package" -B "$work/consumer" -G Ninja -DREVERIE_SOURCE_DIR="$source" -DCMAKE_BUILD_TYPE=Release
        cmake --build "$work/consumer" -j 2
        "$work/consumer/consumer_c"
        "$work/consumer/consumer_cc"
        ;;
    pkg_config)
        # pkg-config splits at blanks, so this prefix has none
        mv "$prefix" "$work/moved"
        PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name reverie.pc)")
        export PKG_CONFIG_PATH
        libdir=$(pkg-config --variable=libdir reverie)
        flags=(-Wall -Wextra -Wpedantic -Werror)
        read -ra link < <(pkg-config --cflags --libs reverie)
        ${CC:-cc} -std=c11 "${flags[@]}" "$source/tests/package/consumer.c" -o "$work/consumer_c" "${link[@]}" "-Wl,-rpath,$libdir"
        ${CXX:-c++} -std=c++17 "${flags[@]}" "$source/tests/package/consumer.cc" -o "$work/consumer_cc" "${link[@]}" "-Wl,-rpath,$libdir"
        "$work/consumer_c"
        "$work/consumer_cc"
        [ "$(pkg-config --modversion reverie)" = "$("$work/consumer_c" | sed 's/reverie \(.*\) answers/\1/')" ]
        ;;
    *)
        echo "unknown: $how"
        exit 2
        ;;
esac
