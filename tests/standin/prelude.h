/* tests/standin/prelude.h: CUDA C++'s words for the host's compiler, as far as our kernels use them. Before every text
 * that tests/standin/nvrtc.c compiles. No header of the host is included: what a kernel uses must stand here.
 */
#define STANDIN_EXPORT __attribute__((visibility("default")))
#define __global__ __attribute__((used, visibility("default")))
#define __device__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __restrict__
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static __attribute__((section("standin_memory")))
#define __syncthreads() standin_wait(__LINE__)

struct __attribute__((aligned(8))) float2 {
    float x, y;
};
struct __attribute__((aligned(16))) float4 {
    float x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

extern "C" {
struct standin_index {
    unsigned x, y, z;
};
STANDIN_EXPORT standin_index threadIdx, blockIdx, blockDim, gridDim;
STANDIN_EXPORT void (*standin_wait)(int line);
extern __attribute__((weak, visibility("hidden"))) char __start_standin_memory[], __stop_standin_memory[];
extern STANDIN_EXPORT char *const standin_shared[2];
char *const standin_shared[2] = {__start_standin_memory, __stop_standin_memory};
}

/* ---- arguments of kernels, for the driver ----------------------------------------------------------- */

namespace standin {
struct kernel {
    void (*call)(void **arguments);
    unsigned count;
    const unsigned *bytes;
};
template <unsigned... I> struct indices {};
template <unsigned N, unsigned... I> struct range : range<N - 1, N - 1, I...> {};
template <unsigned... I> struct range<0, I...> {
    typedef indices<I...> type;
};
template <class T> struct plain {
    typedef T type;
};
template <class T> struct plain<const T> {
    typedef T type;
};
template <class... A, unsigned... I> inline void call_with(void (*f)(A...), void **arguments, indices<I...>) {
    f(*(typename plain<A>::type *)arguments[I]...);
}
template <auto F> struct arguments;
template <class... A, void (*F)(A...)> struct arguments<F> {
    static constexpr unsigned count = sizeof...(A);
    static constexpr unsigned bytes[sizeof...(A) + 1] = {sizeof(A)..., 0};
    static void call(void **given) { call_with(F, given, typename range<sizeof...(A)>::type()); }
};
template <auto F> void call(void **given) { arguments<F>::call(given); }
} // namespace standin

/* ---- functions ---------------------------------------------------------------------------------------- */

#define STANDIN_FUNCTION(name) \
    static inline float name(float x) { return __builtin_##name##f(x); }
STANDIN_FUNCTION(exp) STANDIN_FUNCTION(exp2) STANDIN_FUNCTION(expm1) STANDIN_FUNCTION(log) STANDIN_FUNCTION(log2) STANDIN_FUNCTION(log1p)
STANDIN_FUNCTION(sin) STANDIN_FUNCTION(cos) STANDIN_FUNCTION(tanh) STANDIN_FUNCTION(sqrt) STANDIN_FUNCTION(fabs)
STANDIN_FUNCTION(floor) STANDIN_FUNCTION(ceil) STANDIN_FUNCTION(rint) STANDIN_FUNCTION(trunc) STANDIN_FUNCTION(lgamma)
static inline float fmin(float a, float b) { return __builtin_fminf(a, b); }
static inline float fmax(float a, float b) { return __builtin_fmaxf(a, b); }
static inline float pow(float a, float b) { return __builtin_powf(a, b); }
static inline float copysign(float a, float b) { return __builtin_copysignf(a, b); }
static inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline float ldexp(float a, int b) { return __builtin_ldexpf(a, b); }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline int abs(int a) { return a < 0 ? -a : a; }
static inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
static inline int __popc(unsigned a) { return __builtin_popcount(a); }
static inline int __clz(int a) { return a ? __builtin_clz((unsigned)a) : 32; }
static inline unsigned __float_as_uint(float a) { return __builtin_bit_cast(unsigned, a); }
static inline float __uint_as_float(unsigned a) { return __builtin_bit_cast(float, a); }
static inline int __float_as_int(float a) { return __builtin_bit_cast(int, a); }
static inline float __int_as_float(int a) { return __builtin_bit_cast(float, a); }

/* Lanes are fibers of one thread: nothing comes between. They give what was there before. */
#define STANDIN_ATOMIC(name, type, after)             \
    static inline type name(type *p, type x) {        \
        const type old = *p;                          \
        *p = after;                                   \
        return old;                                   \
    }
STANDIN_ATOMIC(atomicAdd, int, old + x)
STANDIN_ATOMIC(atomicAdd, unsigned, old + x)
STANDIN_ATOMIC(atomicMin, int, old < x ? old : x)
STANDIN_ATOMIC(atomicMin, unsigned, old < x ? old : x)
STANDIN_ATOMIC(atomicMax, int, old > x ? old : x)
STANDIN_ATOMIC(atomicMax, unsigned, old > x ? old : x)
STANDIN_ATOMIC(atomicOr, unsigned, old | x)
STANDIN_ATOMIC(atomicExch, int, x)
