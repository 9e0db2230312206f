#!/usr/bin/env bash
# Backends as installed: found beside the library wherever the tree was moved to, refused or missed with the reason, and
# never taken from the current folder. Usage: modules.sh SOURCE_DIR BUILD_DIR WORK_DIR MODULE...
set -eu
build=$2 work=$3
shift 3
rm -rf "$work"
mkdir -p "$work"
unset LD_LIBRARY_PATH
fail() { echo "error: $1"; exit 1; }

cmake --install "$build" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/moved here"
cd "$work"
reverie="$work/moved here/bin/reverie"
folder=$(dirname "$(find "$work/moved here" -name 'libreverie.so')")/reverie-backends

# what `reverie devices` says of a backend
line() { "$reverie" devices | sed -n "/^$1 /p"; }

for name in "$@"; do
    module=$folder/$name.so
    [ -f "$module" ] || fail "$module was not installed"
    [ "$(stat -c %A "$module" | cut -c 6,9)" = -- ] || fail "$module may be written by others"
    ! readelf -dW "$module" | grep -qE 'RUNPATH|RPATH|TEXTREL|libreverie' || fail "$module: search path, text relocations or the library"
    [ "$(nm -D --defined-only "$module" | awk '{print $3}')" = rv_backend_module ] || fail "$module exports more than its table"
    ! line "$name" | grep -qE 'module|not built in' || fail "$name: $(line "$name")"

    chmod g+w "$module"
    line "$name" | grep -q 'may be written by others' || fail "$name: $(line "$name")"
    chmod g-w "$module"

    # neither from the current folder nor from any below it
    mkdir -p reverie-backends
    mv "$module" reverie-backends/
    cp "reverie-backends/$name.so" .
    line "$name" | grep -q "No such file or directory; install reverie's $name module" || fail "$name: $(line "$name")"
    "$reverie" train world_model --dry-run --device="$name" >out.txt 2>err.txt && fail "--device=$name without its module"
    grep -q "install reverie's $name module" err.txt || fail "$(cat err.txt)"
    mv "reverie-backends/$name.so" "$module"

    # nor by way of a library that came from it
    (cd "$folder/.." && LD_LIBRARY_PATH=. "$reverie" devices >"$work/out.txt")
    grep "^$name " out.txt | grep -q 'loaded by the relative path' || fail "$name: $(grep "^$name " out.txt)"
done
"$reverie" train world_model --dry-run --device=cpu >out.txt
echo "${*:-no modules}: found, refused and missed as they should be"
