/** The eleven versions of a few-shot image that MVFA-AD's and MLA-LP's code trains on, as matrices for `warp`. */

export interface Augmentation {
  readonly name: string;
  /** 2x3, row-major: where in the image (x right, y down, edges at -1 and 1) a pixel of the version comes from. */
  readonly matrix: readonly number[];
}

/** Identity, four rotations, four translations, horizontal and vertical flip. */
export function augmentations(): Augmentation[] {
  const rotations = [-8, -16, 16, 8].map((n): Augmentation => {
    const [cos, sin] = [Math.cos(Math.PI / n), Math.sin(Math.PI / n)];
    return { name: `rotation pi/${n}`, matrix: [cos, -sin, 0, sin, cos, 0] };
  });
  const translations = [
    [0.1, 0.1],
    [-0.1, 0.1],
    [-0.1, -0.1],
    [0.1, -0.1],
  ].map(([x, y]): Augmentation => ({ name: `translation ${x} ${y}`, matrix: [1, 0, x!, 0, 1, y!] }));
  return [
    { name: 'identity', matrix: [1, 0, 0, 0, 1, 0] },
    ...rotations,
    ...translations,
    { name: 'horizontal flip', matrix: [-1, 0, 0, 0, 1, 0] },
    { name: 'vertical flip', matrix: [1, 0, 0, 0, -1, 0] },
  ];
}
