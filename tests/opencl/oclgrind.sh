#!/usr/bin/env bash
# The smallest and odd cases of every family of ops on oclgrind, which runs OpenCL kernels instruction by instruction
# and finds races and accesses out of bounds, or values that nothing has set. A finding fails, as a wrong result does.
# Usage: oclgrind.sh TEST_CONFORMANCE FILL_LIBRARY WORK_DIR races|values|all [FAMILY...]
#
# all: every case, for both, which takes hours. Races and bounds are looked for in what the optimiser made, unset values
# in unoptimised kernels: oclgrind 21.10 cannot tell of the optimiser's freeze. Products stay unoptimised, for it does
# not load them otherwise. Larger tiles are left to the races: to look for unset values in one takes a minute.
set -u
test=$1 fill=$2 work=$3 what=$4
shift 4

# family|what cases' names begin with|further ones for races|options of the build where races are looked for
families="
map1|map1/sin/r7_c33 map1/affine/r1_c1 map1/softplus/r0_c5|map1/gelu/r7_c33|
map2|map2/add/same_r7_c33 broadcast/|map2/div/outer_r7_c33|
where|where/same where/condition_col fill/r7_c33 fill/no_rows||
reduce|reduce/sum_rows/r7_c33 reduce/max_cols/r7_c33 reduce/mean_all/r1_c1|reduce/min_all/r7_c33 reduce/max_rows/r1_c1|
softmax|softmax/r7_c33 softmax/r0_c5 log_softmax/r7_c33|softmax/r1_c255|
quantile|quantile/q0.5/r7_c33 quantile/q0.05/r1_c2||
update|global_norm/r7_c33 adamw/decay/n33 ema/r7_c33 watch/||
laprop|laprop/decay laprop/one segment_norms/n21 segment_norms/n1_||
shape|transpose/r1_c33 concat_cols/3 concat_rows/3 gather/f32|transpose/r7_c33 gather/no_index|
slices|slice_cols/middle reshape/other|slice_rows/middle|
stores|scatter_add/r65 scatter_add/no_rows store/part store_rows/f32 store_rows/u8||
loss|mse/r7_c33 kl_normal/r7_c33 gaussian_nll/r7_c33 bernoulli_nll/r7_c33|mse/r1_c1 elbo/r7_c33|
noise|normal/r7_c33 uniform/r5_c2 uniform_index/r5_c2 sample_normal/all/r7_c33 sample_normal/all/r1_c1||
norm|layer_norm/silu/r7_c65 layer_norm/linear/r5_c1 layer_norm_no_bias/silu/r1_c33 rms_norm/silu/r7_c65||
draws|sample_categorical/all/r7_l3_c4_mix categorical_mode/r7_l3_c4|sample_categorical/all/r1_l1_c1|
given|sample_categorical/given_value/r1||
categorical|categorical_log_prob/r7_l3_c4_mix kl_categorical/r7_l3_c4_mix|categorical_entropy/r7_l3_c4_mix balanced_kl/|
twohot|twohot_nll/r7_k33 twohot_nll/r1_k2 twohot_mean/r7_k33||
returns|lambda_return/r7_t15_0.95 lambda_return/r1_t1_0|own_lambdas/|
cumprod|cumprod/inclusive/r7_t15 cumprod/exclusive/r1_t1|cumprod/exclusive/zeros|
block_gru|block_gru/b7_g3_d5 block_gru/b1_g1_d1||
scan|gru_sequence/t1_b3_i2_h4_resets|scan/mixed_t1_b3|-cl-opt-disable
product|matmul/nn/m1_k1_n1 matmul/tn/m7_k0_n33 linear/linear/b0 linear/elu/b1_x1_k33_n1|matmul/tn/m1_k65_n33|-cl-opt-disable
tiles||matmul/nn/m61 matmul/tn/m61 matmul/nn/m125 matmul/tn/m125|-cl-opt-disable
pieces||linear/tanh/b1030|-cl-opt-disable
block_linear|block_linear/a0_bias0/b1_g2_d1_x0_n1|block_linear/a4_bias1/b7_g3_d5_x3_n7|-cl-opt-disable
gru|gru_cell/b1_i1_h1|gru_cell/b1_i65_h7 gru_cell/b61 gru_cell/b125|-cl-opt-disable
"
run_cases() { # NAME OPTIONS CASES
    local log=$work/$1.log output=$work/$1.txt since=$SECONDS
    : >"$log"
    # shellcheck disable=SC2086 -- options are words
    RV_CASES=$3 oclgrind $2 --log "$log" \
        sh -c 'LD_PRELOAD=$0:$LD_PRELOAD exec "$1" opencl:0,cache=off' "$fill" "$test" >"$output" 2>&1
    local status=$? checks
    checks=$(sed -n 's/^opencl:0.*: \([0-9]*\) checks, 0 failed$/\1/p' "$output")
    if [ "$status" -ne 0 ] || [ -s "$log" ] || [ "${checks:-0}" -eq 0 ]; then
        echo "oclgrind: $1 fails (status $status, ${checks:-no good} checks):"
        grep -vE '^\[' "$output" | tail -n 10
        head -n 40 "$log"
        failures=$((failures + 1))
    else
        echo "oclgrind: $1, $checks checks, nothing found, $((SECONDS - since)) s"
    fi
}

command -v oclgrind >/dev/null || { echo "oclgrind is not installed (package oclgrind)"; exit 1; }
mkdir -p "$work"
cd "$work" || exit 1
failures=0 wanted=" $* "
while IFS='|' read -r name cases more options; do
    [ -n "$name" ] || continue
    [ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || continue
    values=$cases races="$cases $more"
    if [ "$what" = all ]; then # "map1/" and so on
        values=$(printf '%s\n' $races | sed 's|/.*|/|' | sort -u | tr '\n' ' ')
        races=$values
    fi
    [ "$what" = values ] || run_cases "${name}_races" "--data-races ${options:+--build-options $options}" "$races"
    [ "$what" = races ] || [ -z "$values" ] ||
        run_cases "${name}_values" "--uninitialized --build-options -cl-opt-disable" "$values"
done <<<"$families"
[ $failures -eq 0 ]
