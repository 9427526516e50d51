/* draw_shape.c - outlines as circles and polygons, by their signed distance. */
#include "draw_shape.h"

#include <math.h>

enum { CORNER_LIMIT = 12 };

static const struct {
    int count; /* 0: not a polygon */
    float corner[CORNER_LIMIT][2];
} polygons[SHAPE_COUNT] = {
    [SHAPE_TRIANGLE] = {3, {{0, -1}, {0.866f, 0.5f}, {-0.866f, 0.5f}}},
    [SHAPE_SQUARE] = {4, {{-0.7f, -0.7f}, {0.7f, -0.7f}, {0.7f, 0.7f}, {-0.7f, 0.7f}}},
    [SHAPE_HEXAGON] = {6,
                       {{1, 0}, {0.5f, 0.866f}, {-0.5f, 0.866f}, {-1, 0}, {-0.5f, -0.866f}, {0.5f, -0.866f}}},
    [SHAPE_STAR] = {10,
                    {{0, -1},
                     {0.235f, -0.324f},
                     {0.951f, -0.309f},
                     {0.38f, 0.124f},
                     {0.588f, 0.809f},
                     {0, 0.4f},
                     {-0.588f, 0.809f},
                     {-0.38f, 0.124f},
                     {-0.951f, -0.309f},
                     {-0.235f, -0.324f}}},
    [SHAPE_SPARK] = {8,
                     {{0, -1},
                      {0.25f, -0.25f},
                      {1, 0},
                      {0.25f, 0.25f},
                      {0, 1},
                      {-0.25f, 0.25f},
                      {-1, 0},
                      {-0.25f, -0.25f}}},
    [SHAPE_CROSS] = {12,
                     {{-0.3f, -0.95f},
                      {0.3f, -0.95f},
                      {0.3f, -0.3f},
                      {0.95f, -0.3f},
                      {0.95f, 0.3f},
                      {0.3f, 0.3f},
                      {0.3f, 0.95f},
                      {-0.3f, 0.95f},
                      {-0.3f, 0.3f},
                      {-0.95f, 0.3f},
                      {-0.95f, -0.3f},
                      {-0.3f, -0.3f}}},
    [SHAPE_ARROW] = {7,
                     {{0, -1},
                      {0.75f, -0.1f},
                      {0.28f, -0.1f},
                      {0.28f, 0.9f},
                      {-0.28f, 0.9f},
                      {-0.28f, -0.1f},
                      {-0.75f, -0.1f}}},
    [SHAPE_ELL] =
        {6,
         {{-0.6f, -0.8f}, {-0.05f, -0.8f}, {-0.05f, 0.25f}, {0.65f, 0.25f}, {0.65f, 0.75f}, {-0.6f, 0.75f}}},
    [SHAPE_TEE] = {8,
                   {{-0.8f, -0.6f},
                    {0.8f, -0.6f},
                    {0.8f, -0.1f},
                    {0.27f, -0.1f},
                    {0.27f, 0.9f},
                    {-0.27f, 0.9f},
                    {-0.27f, -0.1f},
                    {-0.8f, -0.1f}}},
    [SHAPE_CHEVRON] =
        {6, {{-0.85f, -0.5f}, {0, 0.15f}, {0.85f, -0.5f}, {0.85f, 0.1f}, {0, 0.8f}, {-0.85f, 0.1f}}},
    [SHAPE_BOLT] =
        {6, {{0.4f, -0.95f}, {-0.6f, 0.2f}, {-0.05f, 0.2f}, {-0.4f, 0.95f}, {0.6f, -0.2f}, {0.05f, -0.2f}}},
    [SHAPE_HOURGLASS] =
        {6, {{-0.7f, -0.75f}, {0.7f, -0.75f}, {0.1f, 0}, {0.7f, 0.75f}, {-0.7f, 0.75f}, {-0.1f, 0}}},
    [SHAPE_TRAPEZOID] = {4, {{-0.35f, -0.6f}, {0.35f, -0.6f}, {0.85f, 0.5f}, {-0.85f, 0.5f}}},
    [SHAPE_BAR] = {4, {{-1, -0.2f}, {1, -0.2f}, {1, 0.2f}, {-1, 0.2f}}},
};

/* The nearest edge, and the sign by counting edges to the right (even and odd). */
static float polygon_distance(enum figure shape, float x, float y)
{
    int count = polygons[shape].count, inside = 0;
    float nearest = 1e9f;
    for (int i = 0, j = count - 1; i < count; j = i++) {
        const float *a = polygons[shape].corner[i], *b = polygons[shape].corner[j];
        float ex = b[0] - a[0], ey = b[1] - a[1], wx = x - a[0], wy = y - a[1];
        float t = (wx * ex + wy * ey) / (ex * ex + ey * ey);
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        float dx = wx - ex * t, dy = wy - ey * t, d = dx * dx + dy * dy;
        nearest = d < nearest ? d : nearest;
        if ((a[1] > y) != (b[1] > y) && wx < ex * wy / ey)
            inside = !inside;
    }
    return inside ? -sqrtf(nearest) : sqrtf(nearest);
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

float shape_distance(enum figure shape, float x, float y)
{
    if (polygons[shape].count)
        return polygon_distance(shape, x, y);
    float r = sqrtf(x * x + y * y);
    if (shape == SHAPE_RING)
        return fabsf(r - 0.78f) - 0.22f;
    if (shape == SHAPE_HALF)
        return larger(r - 1, y - 0.1f);
    if (shape == SHAPE_CRESCENT) {
        float u = x - 0.45f;
        return larger(r - 1, 0.8f - sqrtf(u * u + y * y));
    }
    return r - 1; /* a disc */
}
