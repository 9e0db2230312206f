#!/usr/bin/env bash
# bench/learning: its table says what the runs' summaries say, and it ends with 1 where a bound is missed.
# Usage: test_learning.sh REVERIE SOURCE_DIR
set -u
program=$1 source=$2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0
fail() {
    echo "error: $1"
    failures=$((failures + 1))
}
small=(--device=cpu:threads=1 --train.steps=90 --train.prefill=60 --train.batch=4 --imagine.trajectories=4
    --imagine.horizon=2 --eval.episodes=3)
learning() { # ENVS SEEDS OPTIONS...
    bash "$source/bench/learning" dreamer --program="$program" --out="$folder/runs" --envs="$1" --seeds="$2" "${@:3}" \
        -- "${small[@]}" >"$folder/out" 2>"$folder/err"
}
# ENVIRONMENT SEED: the mean return as the summary has it
mean() {
    sed -n '/"evaluation"/,/}/s/^ *"mean": \([-0-9.e]*\),*/\1/p' "$folder/runs/dreamer/$1-$2/summary.json" | xargs printf '%.4g'
}

learning "cartpole:1 continuous_pendulum" "3 1 2" || fail "bounds that are kept end with $?: $(cat "$folder/err")"
for env in cartpole continuous_pendulum; do
    all="$(mean $env 3), $(mean $env 1), $(mean $env 2)"
    grep -q "^| $env | 3 1 2 | $all |" "$folder/out" || fail "the table has not $all of $env"
    sorted=($(printf '%s\n' "$(mean $env 3)" "$(mean $env 1)" "$(mean $env 2)" | sort -g))
    grep -qF "| ${sorted[1]} | " <(grep "^| $env " "$folder/out") || fail "${sorted[1]} is not the median of $env"
done
grep -q '^    bench/learning dreamer ' "$folder/out" || fail "the command is not told"

# the same runs count again; no figure is made anew
before=$(cat "$folder/runs/dreamer/cartpole-1/summary.json")
learning "cartpole:1e6" "1" && fail "a bound that is missed ends with 0"
grep -q '\*\*.*\*\*.*at least 1e6' "$folder/out" || fail "a missed bound is not printed bold"
[ "$before" = "$(cat "$folder/runs/dreamer/cartpole-1/summary.json")" ] || fail "a finished run was repeated"
learning "cartpole:<1e6" "1" || fail "a figure below its bound ends with $?"
learning "cartpole" "1" --figure=evaluation.none && fail "a figure that is not there ends with 0"
learning "no_such_place" "1" && fail "an environment that is not there ends with 0"
learning "cartpole" "1" --sedes=2 && fail "an option that is not there ends with 0"

[ $failures -eq 0 ] && echo "learning: all well"
exit $((failures > 0))
