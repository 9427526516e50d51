// wrong_product.comp - stands in for gemm.comp in a test: computes nothing.
#version 450

layout(local_size_x = 64) in;

void main()
{
}
