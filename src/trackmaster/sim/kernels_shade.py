# mypy: ignore-errors
"""Colouring runs of pixels: what the rasteriser found becomes texture, light, haze, shadow and sky."""

import warp as wp

wp.set_module_options({"enable_backward": False, "fast_math": False, "fuse_fp": False, "optimization_level": 3})

ATLAS_SIZE = 256
ATLAS_TEXELS_PER_M = 8.0
ATLAS_PAGE = 87381  # 256^2 + 128^2 + ... + 1
ATLAS_PAGES = 15
SKY_SIZE = 512

# The loops over pixels are written in C++ for one reason: Warp addresses arrays through run-time strides and cannot
# promise that they do not overlap, which keeps the compiler from working on eight or sixteen pixels at once (four times
# slower). All arithmetic is exact IEEE or integer, so pixels do not depend on how the compiler splits the loop.


@wp.func_native("""
    int* __restrict__ out = pixels.data + at;
    const unsigned* __restrict__ texels = atlas.data + page_start;
    // The points of a run lie on a line; if its ends are on one side of the blob, so is everything between.
    bool in_shadow = has_shadow != 0;
    const float end_a = (float)first + 0.5f, end_b = (float)last - 0.5f;
    const float approach_a = approach_row + approach_step * end_a, approach_b = approach_row + approach_step * end_b;
    if (in_shadow && approach_a > 1.0e-6f && approach_b > 1.0e-6f) {
        const float z_a = eye_height / approach_a, z_b = eye_height / approach_b;
        for (int k = 0; k < 3; k += 2) {
            const float a = (ray_row[k] + ray_step[k] * end_a) * z_a + to_car[k];
            const float b = (ray_row[k] + ray_step[k] * end_b) * z_b + to_car[k];
            in_shadow = in_shadow && !(a > reach && b > reach) && !(a < -reach && b < -reach);
        }
    }
#ifdef __CUDACC__
    for (int column = first; column < last; ++column) {
#else
    // Whole groups of eight, even for runs of three; what they spill over the end of the run is put back.
    int kept[8];
    for (int k = 0; k < 8; ++k) kept[k] = out[last + k];
    for (int start = first; start < last; start += 8)
    #pragma clang loop vectorize(assume_safety)
    for (int column = start; column < start + 8; ++column) {
#endif
        const float x = (float)column + 0.5f;
        // How much of the eye's height one unit of the ray covers; its inverse stretches the pixel's footprint.
        float approach = approach_row + approach_step * x;
        approach = approach < 1.0e-6f ? 1.0e-6f : approach;
        const float stretch = 1.0f / approach;
        const float z = eye_height * stretch;
        const float px = (ray_row[0] + ray_step[0] * x) * z;
        const float py = (ray_row[1] + ray_step[1] * x) * z;
        const float pz = (ray_row[2] + ray_step[2] * x) * z;
        const float distance2 = px * px + py * py + pz * pz;
        float fog = (distance2 - fog_start2) * fog_scale;
        fog = fog < 0.0f ? 0.0f : fog;
        fog = fog > 1.0f ? 1.0f : fog;
        // Texture level: half the binary exponent of the footprint's area in texels.
        union { float value; int bits; } area;
        area.value = z * z * area_scale * (1.0f + 0.5f * stretch);
        int level = (area.bits >> 24) - 63;
        level = level < 0 ? 0 : level;
        level = level > 8 ? 8 : level;
        const float u = axis == 1 ? pz + eye[2] : px + eye[0];
        const float v = axis == 0 ? pz + eye[2] : py + eye[1];
        const int iu = ((int)(u * 8.0f + 65536.0f) & 255) >> level;
        const int iv = ((int)(v * 8.0f + 65536.0f) & 255) >> level;
        const unsigned bgr = texels[87381 - (87381 >> (2 * level)) + iv * (256 >> level) + iu];
        float keep = (1.0f - fog) * light;
        if (in_shadow) {
            // A blob under the car that fades with the height of the car above the surface.
            const float dx = px + to_car[0];
            const float drop = -(py + to_car[1]);
            const float dz = pz + to_car[2];
            const float across = (dx * forward_z - dz * forward_x) * (1.0f / 1.3f);
            const float along = (dx * forward_x + dz * forward_z - 0.3f) * (1.0f / 2.5f);
            float blob = (1.0f - across * across - along * along) * 1.6f;
            blob = blob < 0.0f ? 0.0f : blob;
            blob = blob > 1.0f ? 1.0f : blob;
            float fade = drop < 0.0f ? 1.0f : 1.0f - drop * (1.0f / 12.0f);
            fade = fade < 0.0f ? 0.0f : fade;
            fade = drop < -0.8f ? 0.0f : fade;
            keep = keep * (1.0f - 0.75f * blob * fade);
        }
        float b = (float)(int)(bgr & 255u) * keep + (fog_color[0] * fog + 0.5f);
        float g = (float)(int)((bgr >> 8) & 255u) * keep + (fog_color[1] * fog + 0.5f);
        float r = (float)(int)((bgr >> 16) & 255u) * keep + (fog_color[2] * fog + 0.5f);
        b = b > 255.0f ? 255.0f : b;
        g = g > 255.0f ? 255.0f : g;
        r = r > 255.0f ? 255.0f : r;
        out[column] = (int)b | ((int)g << 8) | ((int)r << 16);
    }
#ifndef __CUDACC__
    for (int k = 0; k < 8; ++k) out[last + k] = kept[k];
#endif
""")
def shade_surface(
    pixels: wp.array(dtype=wp.int32),
    atlas: wp.array(dtype=wp.uint32),
    page_start: int,
    at: int,
    first: int,
    last: int,
    ray_row: wp.vec3,
    ray_step: wp.vec3,
    eye: wp.vec3,
    eye_height: float,
    approach_row: float,
    approach_step: float,
    area_scale: float,
    axis: int,
    light: float,
    fog_start2: float,
    fog_scale: float,
    fog_color: wp.vec3,
    has_shadow: int,
    to_car: wp.vec3,
    forward_x: float,
    forward_z: float,
    reach: float,
):
    """Colour a run of pixels on one plane; nothing is accumulated, so a run may be cut anywhere."""
    ...


@wp.func_native("""
    // sqrtf may set errno, which keeps the compiler from doing eight at once.
#ifdef __CUDACC__
    #define SQUARE_ROOT sqrtf
#else
    #define SQUARE_ROOT __builtin_elementwise_sqrt
#endif
    int* __restrict__ out = pixels.data + at;
    const unsigned* __restrict__ texels = sky.data;
#ifndef __CUDACC__
    #pragma clang loop vectorize(assume_safety)
#endif
    for (int column = first; column < last; ++column) {
        const float x = (float)column + 0.5f;
        const float rx = ray_row[0] + ray_step[0] * x;
        const float ry = ray_row[1] + ray_step[1] * x;
        const float rz = ray_row[2] + ray_step[2] * x;
        // Stereographic: the horizon is the circle that touches the borders of the picture.
        const float up = ry < 0.0f ? 0.0f : ry;
        const float scale = 256.0f / (up + SQUARE_ROOT(rx * rx + up * up + rz * rz));
        int iu = (int)(rx * scale + 256.0f);
        int iv = (int)(rz * scale + 256.0f);
        iu = iu > 511 ? 511 : iu;
        iv = iv > 511 ? 511 : iv;
        out[column] = iv * 512 + iu;
    }
    for (int column = first; column < last; ++column) out[column] = (int)texels[out[column]];
""")
def shade_sky(
    pixels: wp.array(dtype=wp.int32),
    sky: wp.array(dtype=wp.uint32),
    at: int,
    first: int,
    last: int,
    ray_row: wp.vec3,
    ray_step: wp.vec3,
):
    """Colour a run of pixels that look into the sky; below the horizon (no ground there) the haze goes on."""
    ...


@wp.func_native("""
    const int* __restrict__ in = pixels.data + at;
    unsigned char* __restrict__ out = gray.data + to;
#ifndef __CUDACC__
    #pragma clang loop vectorize(assume_safety)
#endif
    for (int k = 0; k < count; ++k) {
        const int b = in[k] & 255, g = (in[k] >> 8) & 255, r = (in[k] >> 16) & 255;
        out[k] = (unsigned char)((b * 3735 + g * 19235 + r * 9798 + 16384) >> 15);
    }
""")
def store_gray(pixels: wp.array(dtype=wp.int32), gray: wp.array(dtype=wp.uint8), at: int, to: int, count: int):
    """Write 0.114 B + 0.587 G + 0.299 R in the 15-bit fixed point of OpenCV, so that both give the same byte."""
    ...


@wp.func_native("""
    const int* __restrict__ in = pixels.data + at;
    unsigned* __restrict__ out = bgra.data + to;
#ifndef __CUDACC__
    #pragma clang loop vectorize(assume_safety)
#endif
    for (int k = 0; k < count; ++k) {
        out[k] = (unsigned)in[k] | 0xff000000u;
    }
""")
def store_bgra(pixels: wp.array(dtype=wp.int32), bgra: wp.array(dtype=wp.uint32), at: int, to: int, count: int):
    """Write packed pixels with full opacity."""
    ...


@wp.func_native("""
    const unsigned* __restrict__ in = fine.data + start;
    int* __restrict__ out = pixels.data + to;
    const int stride = width * factor;
    const unsigned count = (unsigned)(factor * factor);
    // Division by multiplication: exact for all sums that factors up to 8 can give.
    const unsigned inverse = ((1u << 20) + count - 1u) / count;
    const unsigned half = count / 2u;
    for (int column = 0; column < width; ++column) {
        unsigned outer = 0u, green = 0u;
        for (int i = 0; i < factor; ++i) {
            for (int j = 0; j < factor; ++j) {
                const unsigned p = in[i * stride + column * factor + j];
                outer += p & 0x00ff00ffu;
                green += (p >> 8) & 0xffu;
            }
        }
        const unsigned b = (((outer & 0xffffu) + half) * inverse) >> 20;
        const unsigned r = (((outer >> 16) + half) * inverse) >> 20;
        const unsigned g = ((green + half) * inverse) >> 20;
        out[column] = (int)(b | (g << 8) | (r << 16));
    }
""")
def average_row(
    fine: wp.array(dtype=wp.uint32), pixels: wp.array(dtype=wp.int32), start: int, to: int, width: int, factor: int
):
    """Average blocks of packed pixels into one row."""
    ...


@wp.func_native("""
    float* __restrict__ w = depth.data + at;
    int* __restrict__ n = pixels.data + at;
#ifndef __CUDACC__
    #pragma clang loop vectorize(assume_safety)
#endif
    for (int k = 0; k < count; ++k) {
        w[k] = 0.0f;
        n[k] = -1;
    }
""")
def clear(depth: wp.array(dtype=wp.float32), pixels: wp.array(dtype=wp.int32), at: int, count: int):
    """Empty a tile: infinitely far, no triangle."""
    ...


@wp.func
def pack(color: wp.vec3):
    """Colour (blue, green, red) as 0x00RRGGBB."""
    b = int(wp.clamp(color[0] + 0.5, 0.0, 255.0))
    g = int(wp.clamp(color[1] + 0.5, 0.0, 255.0))
    r = int(wp.clamp(color[2] + 0.5, 0.0, 255.0))
    return b | (g << 8) | (r << 16)


@wp.func_native("""
    const int* __restrict__ owner = ids.data + at;
    int column = first;
    // Eight pixels at a time as long as all agree, then one by one.
    while (column + 8 <= last) {
        int differs = 0;
#ifndef __CUDACC__
        #pragma clang loop vectorize(enable)
#endif
        for (int k = 0; k < 8; ++k) {
            const int up = (ray_y + step_y * ((float)(column + k) + 0.5f)) > horizon;
            differs |= (owner[column + k] != number) | ((number < 0) & (up != (int)above));
        }
        if (differs) break;
        column += 8;
    }
    for (; column < last; ++column) {
        const bool up = (ray_y + step_y * ((float)column + 0.5f)) > horizon;
        if (owner[column] != number || (number < 0 && up != above)) break;
    }
    return column;
""")
def run_end(
    ids: wp.array(dtype=wp.int32), at: int, first: int, last: int, number: int, ray_y: float, step_y: float,
    horizon: float, above: bool,
) -> int:  # fmt: skip
    """First column of a row that another triangle owns, or, where there is none, that lies across the horizon."""
    ...
