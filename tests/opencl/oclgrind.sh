#!/usr/bin/env bash
# The smallest and odd cases of every family of ops on oclgrind, which runs OpenCL kernels instruction by instruction and
# finds races, uninitialised values and accesses out of bounds. Any finding fails, and so does any wrong result.
# Usage: oclgrind.sh TEST_CONFORMANCE FILL_LIBRARY WORK_DIR [FAMILY...]
#
# Races and bounds are looked for in what the optimiser made, uninitialised values in unoptimised kernels: oclgrind 21.10
# cannot tell of the optimiser's freeze. Products stay unoptimised, for it does not load them otherwise. Left out: tall and large cases, minutes each, and for products, the GRU and block
# products all but the smallest where uninitialised values are looked for.
set -u
test=$1 fill=$2 work=$3
shift 3

# family|what cases' names begin with|the same for uninitialised values, where others|options of the build where races are looked for
families="
map1|map1/sin/r7_c33 map1/affine/r1_c1 map1/gelu/r7_c33 map1/softplus/r0_c5
map2|map2/add/same_r7_c33 map2/div/outer_r7_c33 broadcast/
where|where/same where/condition_col fill/r7_c33 fill/no_rows
reduce|reduce/sum_rows/r7_c33 reduce/max_cols/r7_c33 reduce/mean_all/r1_c1 reduce/min_all/r7_c33 reduce/max_rows/r1_c1
softmax|softmax/r7_c33 softmax/r1_c255 softmax/r0_c5 log_softmax/r7_c33
quantile|quantile/q0.5/r7_c33 quantile/q0.05/r1_c2
update|global_norm/r7_c33 adamw/decay/n33 ema/r7_c33 watch/no_rows
shape|transpose/r7_c33 transpose/r1_c33 concat_cols/3 concat_rows/3 gather/f32 gather/no_index slice_cols/middle reshape/other
stores|scatter_add/ store/part store_rows/f32
loss|mse/r7_c33 mse/r1_c1 kl_normal/r7_c33 gaussian_nll/r7_c33 bernoulli_nll/r7_c33
noise|normal/r7_c33 uniform/r5_c2 uniform_index/r5_c2 sample_normal/all/r7_c33 sample_normal/all/r1_c1
norm|layer_norm/silu/r7_c65 layer_norm/linear/r5_c1 rms_norm/silu/r7_c65|layer_norm/linear/r5_c1
block_gru|block_gru/b7_g3_d5 block_gru/b1_g1_d1
product|matmul/tn/m1_k65_n33 linear/linear/b0|matmul/nn/m1_k1_n1 linear/elu/b1_x1_k33_n1|-cl-opt-disable
block_linear|block_linear/a0_bias0/b1_g2_d1_x0_n1||-cl-opt-disable
gru|gru_cell/b1_i1_h1||-cl-opt-disable
"
run_cases() { # NAME OPTIONS CASES
    local log=$work/$1.log output=$work/$1.txt
    : >"$log"
    # shellcheck disable=SC2086 -- options are words
    RV_CASES=$3 oclgrind $2 --log "$log" sh -c 'LD_PRELOAD=$0:$LD_PRELOAD exec "$1" opencl:0,cache=off' "$fill" "$test" >"$output" 2>&1
    local status=$? checks
    checks=$(sed -n 's/^opencl:0.*: \([0-9]*\) checks, 0 failed$/\1/p' "$output")
    if [ "$status" -ne 0 ] || [ -s "$log" ] || [ "${checks:-0}" -eq 0 ]; then
        echo "oclgrind: $1 fails (status $status, ${checks:-no good} checks):"
        grep -vE '^\[' "$output" | tail -n 10
        head -n 40 "$log"
        return 1
    fi
    echo "oclgrind: $1, $checks checks, nothing found"
}
run_family() { # FAMILY CASES CASES OPTIONS
    run_cases "$1_races" "--data-races ${4:+--build-options $4}" "$2" && run_cases "$1_values" '--uninitialized --build-options -cl-opt-disable' "${3:-$2}"
}

command -v oclgrind >/dev/null || { echo "oclgrind is not installed (package oclgrind)"; exit 1; }
mkdir -p "$work"
export -f run_family run_cases
export work fill test
cd "$work" || exit 1
wanted=" $* "
printf '%s\n' "$families" | while IFS='|' read -r name cases values options; do
    [ -n "$name" ] || continue
    [ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || continue
    printf '%s\0%s\0%s\0%s\0' "$name" "$cases" "$values" "$options"
done | xargs -0 -n 4 -P "$(nproc)" bash -c 'run_family "$0" "$1" "$2" "$3"'
