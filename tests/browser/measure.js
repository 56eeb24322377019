// What is wrong with how a page looks, computed from the boxes of its texts and shapes; a list of words.
(() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) found.push(`scrolls sideways: ${root.scrollWidth} > ${innerWidth}`);

  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, title") || !seen(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width > 0 && box.height > 0);
    if (!boxes.length) found.push(`has no box: ${node.data}`);
    if (boxes.length > 25) found.push(`squeezed into ${boxes.length} lines: ${node.data.slice(0, 40)}`);
    texts.push({ element, boxes, says: node.data.trim().slice(0, 40) });
  }

  // Clipped: outside the window, or outside of an element around it that hides what overflows.
  for (const { element, boxes, says } of texts) {
    for (const box of boxes) {
      if (box.left < -0.5 || box.right > innerWidth + 0.5) found.push(`outside the window: ${says}`);
      for (let around = element; around && around !== document.body; around = around.parentElement) {
        if (getComputedStyle(around).overflow === "visible") continue;
        const edge = around.getBoundingClientRect();
        const inside =
          box.left >= edge.left - 1 && box.right <= edge.right + 1 && box.top >= edge.top - 1 && box.bottom <= edge.bottom + 1;
        if (!inside) found.push(`clipped by ${around.tagName}: ${says}`);
      }
    }
  }

  // Overlapping: two texts, or a text and a shape that is drawn.
  const shapes = [...document.querySelectorAll("svg .bar, svg .refused, svg .alerted, svg line.limit")].filter(seen);
  const meet = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const crosses = (text, shape) =>
    meet(text, shape) || (shape.height < 1 && meet(text, { ...shape.toJSON(), top: shape.top - 1, bottom: shape.bottom + 1 }));
  texts.forEach((one, place) => {
    for (const other of texts.slice(place + 1)) {
      if (one.boxes.some((a) => other.boxes.some((b) => meet(a, b)))) found.push(`overlap: ${one.says} | ${other.says}`);
    }
    for (const shape of shapes) {
      const edge = shape.getBoundingClientRect();
      if (one.boxes.some((box) => crosses(box, edge))) found.push(`over a shape: ${one.says}`);
    }
  });

  // Contrast as WCAG 2 has it: 4.5 for texts, 3 for shapes.
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [red, green, blue] = channels(colour)
      .slice(0, 3)
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    for (let around = element; around; around = around.parentElement) {
      const colour = getComputedStyle(around).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (element) => {
    const style = getComputedStyle(element);
    const [a, b] = [light(element instanceof SVGElement ? style.fill : style.color), light(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  for (const { element, says } of texts) {
    if (contrast(element) < 4.5) found.push(`contrast ${contrast(element).toFixed(2)}: ${says}`);
  }
  for (const shape of document.querySelectorAll("svg .bar, svg .part, svg .refused, svg .alerted")) {
    if (seen(shape) && contrast(shape) < 3) found.push(`contrast ${contrast(shape).toFixed(2)}: ${shape.classList}`);
  }
  return [...new Set(found)];
})();
