#!/usr/bin/env bash
# Builds an environment outside the tree, against an installed library alone, and has the installed program try it.
# Usage: plugin.sh SOURCE_DIR BUILD_DIR WORK_DIR
set -eu
source=$1 build=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
chmod go-w "$work"
unset LD_LIBRARY_PATH
cmake --install "$build" --prefix "$work/installed" >"$work/install.log"
cp "$source/examples/plugin/corridor.c" "$work/"
PKG_CONFIG_PATH=$(dirname "$(find "$work/installed" -name reverie.pc)")
export PKG_CONFIG_PATH
read -ra flags < <(pkg-config --cflags reverie)
cd "$work"
${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -shared -fPIC "${flags[@]}" corridor.c -o corridor.so
chmod go-w corridor.so
installed/bin/reverie env-check ./corridor.so
# and as C++ would have it: the header and the table's type alone
printf '#include <reverie/plugin.h>\nextern "C" { RV_API extern const rv_env_table rv_env_exported; }\n' >table.cc
${CXX:-c++} -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "${flags[@]}" table.cc
# what must not be loaded is not
chmod g+w corridor.so
! installed/bin/reverie env-check ./corridor.so || { echo "a file that others may write was loaded"; exit 1; }
chmod g-w corridor.so
! installed/bin/reverie env-check corridor.so || { echo "a bare name was loaded from the current folder"; exit 1; }
