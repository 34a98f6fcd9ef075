"""Charts: figures in, SVG as text out.

Invariants:
    * Pure: no clock, no randomness, no input or output, and nothing known of apps.
    * Every chart is an image with a title and a description that say its result in words.
    * No colour says anything alone: a mark has a shape, a line its name beside it.
    * Whatever the figures are (none, one, huge, not a number), the text is well formed and every coordinate finite.
    * Nothing is styled here but by class: what it looks like, in light and in dark, is the stylesheet's matter.

A chart is drawn for a width in pixels, and scales from there by a fifth or two: `WIDE` for a screen, `MIDDLE` for a
part of one, `NARROW` for a phone, so that its letters are read on each.
"""
