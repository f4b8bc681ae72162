/** The loss over the steps as a line, in the page's own text colour. */
export function drawCurve(canvas, losses) {
  const context = canvas.getContext('2d');
  const { width, height } = canvas;
  const margin = 4;
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const x = (i) => margin + ((width - 2 * margin) * i) / Math.max(1, losses.length - 1);
  const y = (loss) => height - margin - ((height - 2 * margin) * (loss - low)) / (high - low || 1);
  context.clearRect(0, 0, width, height);
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 2;
  context.beginPath();
  losses.forEach((loss, i) => {
    context.lineTo(x(i), y(loss));
  });
  context.stroke();
  canvas.setAttribute(
    'aria-label',
    `Loss over ${losses.length} steps: ${losses[0].toFixed(3)} at first, ${losses.at(-1).toFixed(3)} now.`,
  );
}
