/** What softmax and its gradient have in common: a result's row from the same row of operands of its type. */
import { foldGrid } from '../../runtime/capabilities';
import type { Op, OpCall, Operand, Variant } from '../../runtime/op';
import { sizeOf } from '../../runtime/tensor-type';
import { subgroupRowObstacle, subgroupRowPays } from '../subgroup-rows';

type Kind = 'plain' | 'workgroup' | 'subgroup';

const colsOf = ({ inputs }: Pick<OpCall<null>, 'inputs'>) => inputs[0]!.shape.at(-1)!;

/**
 * Variants that give a row to an invocation, a workgroup or a subgroup, and the choice among them.
 * @param name of the op; its templates are called `NAME_KIND`.
 */
export function rowKernels(
  name: string,
  templates: Readonly<Record<Kind, string>>,
  bindings: Readonly<Record<string, Operand>>,
): Pick<Op<null>, 'variants' | 'choose'> {
  const variant = (kind: Kind, rowsPerWorkgroup: number): Variant<null> => ({
    name: kind,
    lower({ inputs }, caps) {
      const COLS = colsOf({ inputs });
      const ROWS = sizeOf(inputs[0]!) / COLS;
      const obstacle = kind === 'subgroup' ? subgroupRowObstacle(COLS, 1, caps) : undefined;
      if (obstacle) return obstacle;
      return {
        variant: kind,
        dispatches: [
          {
            kernel: { name: `${name}_${kind}`, wgsl: templates[kind] },
            constants: { ROWS, COLS, ...(kind === 'subgroup' && { LANES: caps.subgroupMinSize }) },
            types: { T: inputs[0]!.dtype },
            bindings,
            workgroups: foldGrid(Math.ceil(ROWS / rowsPerWorkgroup), caps),
          },
        ],
      };
    },
  });
  return {
    variants: [variant('plain', 16), variant('workgroup', 1), variant('subgroup', 1)],
    choose(call, caps) {
      // Two classes a pixel: a workgroup a row would idle.
      if (caps.software || colsOf(call) < 64) return 'plain';
      return subgroupRowPays(colsOf(call), 1, caps) ? 'subgroup' : 'workgroup';
    },
  };
}
