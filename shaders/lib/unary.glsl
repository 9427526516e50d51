// unary.glsl - the activation functions and their derivatives, by the tape's number (enum unary_fn).
const uint UNARY_RELU = 0, UNARY_GELU = 1, UNARY_SIGMOID = 2, UNARY_TANH = 3, UNARY_EXP = 4, UNARY_SQRT = 5,
           UNARY_RECIP = 6, UNARY_QUICK_GELU = 7, UNARY_LOG = 8, UNARY_ABS = 9;

// The whole number nearest to x, |x| < 2^21, where y is x + 1.5 2^23: y's low bits hold it. In whole numbers, since
// compilers take (x + c) - c for x: SwiftShader's even where it is `precise`, as its unrolled loops lose that.
int whole_in(float y)
{
    return floatBitsToInt(y) - 0x4b400000;
}
const float WHOLE = 12582912.0; // 1.5 2^23

// exp(x) to 1.5e-7 relative for -87 <= x <= 88 (clamped beyond): Cody and Waite's reduction by ln 2 in
// two parts, then the polynomial of Moshier's Cephes. A driver's exp may lose |x| 5e-8.
float exp_exact(float x)
{
    x = clamp(x, -87.0, 88.0);
    int whole = whole_in(fma(x, 1.44269504, WHOLE));
    float n = float(whole);
    float r = fma(n, -0.693359375, x); // exact
    r = fma(n, 2.12194440e-4, r);
    float p = 1.9875691500e-4;
    p = fma(p, r, 1.3981999507e-3);
    p = fma(p, r, 8.3334519073e-3);
    p = fma(p, r, 4.1665795894e-2);
    p = fma(p, r, 1.6666665459e-1);
    p = fma(p, r, 5.0000001201e-1);
    p = fma(p * r, r, r) + 1.0;
    return p * intBitsToFloat((whole << 23) + 0x3f800000);
}

float sigmoid(float x)
{
    return 1.0 / (1.0 + exp_exact(-x));
}

// 1 - 2 / (exp(2 x) + 1) loses small x: there the series
float tanh_exact(float x)
{
    float far = 1.0 - 2.0 / (exp_exact(2.0 * x) + 1.0);
    float q = x * x;
    float near = fma(fma(fma(q, -0.053968254, 0.13333333), q, -0.33333333) * q, x, x);
    return mix(far, near, abs(x) < 0.2);
}

// exp(-x^2 / 2) to 2e-7 absolute: 2^t with t split into a whole number and a rest of at most a half, the
// rest's power by a polynomial (least relative error 7.5e-8). Half the work of a driver's exp.
float bell(float x)
{
    float t = max(x * x * -0.72134752, -126.0);
    int whole = whole_in(t + WHOLE);
    float rest = t - float(whole);
    float p = fma(rest, 0.0013276472, 0.0096755419);
    p = fma(rest, p, 0.055507131);
    p = fma(rest, p, 0.24022120);
    p = fma(rest, p, 0.69314694);
    p = fma(rest, p, 1.0000001);
    return intBitsToFloat(floatBitsToInt(p) + (whole << 23));
}

// Phi(x) = (1 + erf(x / sqrt 2)) / 2 and phi(x) = exp(-x^2 / 2) / sqrt(2 pi). The first by Abramowitz and
// Stegun 7.1.26 (error of erf 1.5e-7), whose exponential is the second's.
void normal_distribution(float x, out float cumulative, out float density)
{
    float e = bell(x);
    float t = 1.0 / fma(0.23164190, abs(x), 1.0);
    float tail = fma(fma(fma(fma(0.53070271, t, -0.72657601), t, 0.71070687), t, -0.14224837), t, 0.12741480);
    tail = tail * t * e;
    cumulative = mix(1.0 - tail, tail, x < 0.0);
    density = 0.39894228 * e;
}

float unary(uint fn, float x)
{
    float cumulative, density;
    switch (fn) {
    case UNARY_RELU: return max(x, 0.0);
    case UNARY_GELU: normal_distribution(x, cumulative, density); return x * cumulative;
    case UNARY_SIGMOID: return sigmoid(x);
    case UNARY_TANH: return tanh_exact(x);
    case UNARY_EXP: return exp_exact(x);
    case UNARY_SQRT: return sqrt(x);
    case UNARY_RECIP: return 1.0 / x;
    case UNARY_QUICK_GELU: return x * sigmoid(1.702 * x);
    case UNARY_LOG: return log(x);
    case UNARY_ABS: return abs(x);
    }
    return x;
}

float unary_derivative(uint fn, float x)
{
    float cumulative, density, s;
    switch (fn) {
    case UNARY_RELU: return mix(0.0, 1.0, x > 0.0);
    case UNARY_GELU: normal_distribution(x, cumulative, density); return fma(x, density, cumulative);
    case UNARY_SIGMOID: s = sigmoid(x); return s * (1.0 - s);
    case UNARY_TANH: s = tanh_exact(x); return fma(-s, s, 1.0);
    case UNARY_EXP: return exp_exact(x);
    case UNARY_SQRT: return 0.5 / sqrt(x);
    case UNARY_RECIP: return -1.0 / (x * x);
    case UNARY_QUICK_GELU: s = sigmoid(1.702 * x); return s * fma(1.702 * x, 1.0 - s, 1.0);
    case UNARY_LOG: return 1.0 / x;
    case UNARY_ABS: return sign(x);
    }
    return 1.0;
}
