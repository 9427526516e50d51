// wrong_attention.comp - stands in for a kernel of attention in a test: computes nothing.
#version 450

layout(local_size_x = 64) in;

void main()
{
}
