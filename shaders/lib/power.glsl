// power.glsl - powers of two, and the splitting of a number into a whole one and a rest.

// The whole number nearest to x, |x| < 2^21, where y is x + 1.5 2^23: y's low bits hold it. In whole numbers, since
// compilers take (x + c) - c for x: SwiftShader's even where it is `precise`, as its unrolled loops lose that.
int whole_in(float y)
{
    return floatBitsToInt(y) - 0x4b400000;
}
const float WHOLE = 12582912.0; // 1.5 2^23

// 2^x for x < 127, and 2^-126 below -126: x split into a whole number and a rest of at most a half, the rest's power
// by a polynomial (least relative error 7.5e-8). Half the work of a driver's exp2.
float power_of_2(float x)
{
    x = max(x, -126.0);
    int whole = whole_in(x + WHOLE);
    float rest = x - float(whole);
    float p = fma(rest, 0.0013276472, 0.0096755419);
    p = fma(rest, p, 0.055507131);
    p = fma(rest, p, 0.24022120);
    p = fma(rest, p, 0.69314694);
    p = fma(rest, p, 1.0000001);
    return intBitsToFloat(floatBitsToInt(p) + (whole << 23));
}
