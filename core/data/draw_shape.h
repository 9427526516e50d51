/* draw_shape.h - the distance from a place to a shape's outline; for draw.c alone. */
#ifndef VITRO_DATA_DRAW_SHAPE_H
#define VITRO_DATA_DRAW_SHAPE_H

#include "draw.h"

/* Negative inside. The shape fits the circle of radius 1 around (0, 0). */
float shape_distance(enum figure shape, float x, float y);

#endif
