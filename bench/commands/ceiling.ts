import { type MeasuringFlags, measuringCommand } from '../measuring';

export const ceilingCommand = measuringCommand<MeasuringFlags>({
  name: 'ceiling',
  text: 'multiply-add rate, copy rate, dispatch cost, compile time',
  ceilingRows: true,
  measure: async () => {},
});
