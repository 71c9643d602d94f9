// Lays two screenshots out as windows, one beside the other.
(left, right, code) => {
  const frame = (picture, title, text) => `<figure>
    <figcaption><b>${title}</b> ${text}</figcaption>
    <div class="window">
      <div class="bar"><i></i><i></i><i></i><span>https://localhost:8443</span></div>
      <img src="data:image/png;base64,${picture}">
    </div>
  </figure>`;
  document.body.innerHTML = `<style>
    body { margin: 0; padding: 18px 24px 24px; display: flex; gap: 24px; background: #eef1f6; color: #1d2433; font: 19px/1.4 system-ui, sans-serif }
    figure { margin: 0; flex: 1 }
    figcaption { margin: 0 2px 10px }
    figcaption code { padding: 1px 6px; border: 1px solid #c9d1de; border-radius: 5px; background: #fff; font: 600 17px ui-monospace, monospace }
    .window { overflow: hidden; border: 1px solid #b6c0d0; border-radius: 10px; box-shadow: 0 6px 22px #1d243326 }
    .bar { display: flex; gap: 7px; align-items: center; padding: 8px 12px; background: #dfe4ec; color: #56607a; font-size: 13px }
    .bar i { width: 10px; height: 10px; border-radius: 50%; background: #b6c0d0 }
    .bar span { flex: 1; margin-left: 10px; padding: 2px 12px; border-radius: 6px; background: #fff }
    img { display: block; width: 100% }
  </style>` + frame(left, "One tab", "signs out.") + frame(right, "Every other tab", `ends at once, with <code>${code}</code>`);
  return Promise.all([...document.images].map((image) => image.decode())).then(() => "");
}
