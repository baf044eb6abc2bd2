'use strict';
// The gallery: a page of images at a time, so that thousands weigh no more than a few.
// All text goes in as text, never as HTML.
(() => {
  const data = JSON.parse(document.getElementById('gallery-data').textContent);
  const perPage = 12;
  const find = (id) => document.getElementById(id);
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const controls = ['by-class', 'order', 'remark', 'group', 'name'].map(find).filter(Boolean);
  // What is not known comes last.
  const up = (value) => (value === null ? 1e9 : value);
  const down = (value) => (value === null ? -1e9 : value);
  const orders = {
    worst: (a, b) => up(a.miou) - up(b.miou),
    best: (a, b) => down(b.miou) - down(a.miou),
    uncertain: (a, b) => up(a.margin) - up(b.margin),
    first: (a, b) => b.remarks.length - a.remarks.length || up(a.margin) - up(b.margin),
    name: (a, b) => (a.name < b.name ? -1 : 1),
  };
  let chosen = [];
  let page = 0;

  const value = (id) => (find(id) ? find(id).value : '');
  const choose = () => {
    const wanted = value('by-class');
    const remark = value('remark');
    const group = value('group');
    const name = value('name').trim().toLowerCase();
    chosen = data.images.filter((image) =>
      (!wanted || image.classes.includes(Number(wanted)))
      && (!remark || image.remarks.some(([kind]) => remark === 'any' || kind === remark))
      && (!group || image.group === group)
      && (!name || image.name.toLowerCase().includes(name)));
    chosen.sort(orders[value('order')]);
    page = 0;
    show();
  };

  const picture = (image, layer, lazy) => {
    const stack = make('span', { className: 'stack' });
    stack.style.aspectRatio = `${image.width} / ${image.height}`;
    const options = { loading: lazy ? 'lazy' : 'eager', decoding: 'async',
      width: image.width, height: image.height };
    const alone = layer.src === null;
    stack.append(make('img', { ...options, alt: alone ? layer.text : '', src: image.photo }));
    if (!alone) stack.append(make('img', { ...options, alt: layer.text, src: layer.src }));
    return stack;
  };

  const card = (image) => {
    const title = make('h3', {}, image.name);
    for (const tag of image.tags) title.append(make('span', { className: 'tag' }, tag));
    const about = make('p', {}, image.about);
    const row = make('div', { className: 'row' });
    image.layers.forEach((layer, i) => {
      const button = make('button', { className: 'panel', type: 'button' },
        picture(image, layer, true), layer.caption);
      button.addEventListener('click', () => enlarge(chosen.indexOf(image), i));
      row.append(button);
    });
    const remarks = make('p');
    for (const [, text] of image.remarks) {
      remarks.append(make('span', { className: 'remark' }, text));
    }
    const parts = [title, ...(image.about ? [about] : []),
      ...(image.remarks.length ? [remarks] : []), row];
    return make('article', { className: 'card' }, ...parts);
  };

  const show = (focus) => {
    const pages = Math.max(1, Math.ceil(chosen.length / perPage));
    const part = chosen.slice(page * perPage, (page + 1) * perPage);
    find('cards').replaceChildren(...part.map(card));
    find('count').textContent = chosen.length === 1 ? '1 image'
      : `${chosen.length} images` + (pages > 1 ? `, page ${page + 1} of ${pages}` : '');
    find('page').textContent = `Page ${page + 1} of ${pages}`;
    find('previous').disabled = page === 0;
    find('next').disabled = page === pages - 1;
    find('pager').hidden = pages === 1;
    if (focus) find('gallery').scrollIntoView();
  };
  find('previous').addEventListener('click', () => { page -= 1; show(true); });
  find('next').addEventListener('click', () => { page += 1; show(true); });
  for (const control of controls) control.addEventListener('input', choose);
  for (const button of document.querySelectorAll('[data-remark], [data-class]')) {
    button.addEventListener('click', () => {
      if (find('remark')) find('remark').value = button.dataset.remark || '';
      if (find('by-class')) find('by-class').value = button.dataset.class || '';
      choose();
      find('gallery').scrollIntoView();
      find('count').focus();
    });
  }

  // The viewer.
  const viewer = find('viewer');
  find('words').after(document.querySelector('#gallery ul.key').cloneNode(true));
  const slider = find('share');
  let open = { image: 0, caption: '' };
  const cover = () => {
    const overlay = viewer.querySelector('.big img + img');
    const edge = viewer.querySelector('.edge');
    const share = Number(slider.value);
    slider.setAttribute('aria-valuetext', `the layer covers ${share} % from the left`);
    if (!overlay) return;
    overlay.style.clipPath = `inset(0 ${100 - share}% 0 0)`;
    edge.style.left = `${share}%`;
    edge.hidden = share === 100 || share === 0;
  };
  const draw = () => {
    const image = chosen[open.image];
    const layer = image.layers.find((one) => one.caption === open.caption) || image.layers[0];
    find('viewer-name').textContent = image.name;
    const big = picture(image, layer, false);
    big.classList.add('big');
    big.style.width = `min(100%, calc(66vh * ${image.width / image.height}))`;
    if (layer.src !== null) big.append(make('span', { className: 'edge', hidden: true }));
    const drag = (event) => {
      const box = big.getBoundingClientRect();
      slider.value = Math.round(100 * (event.clientX - box.left) / box.width);
      cover();
    };
    big.addEventListener('pointerdown', (event) => {
      big.setPointerCapture(event.pointerId);
      drag(event);
    });
    big.addEventListener('pointermove', (event) => { if (event.buttons) drag(event); });
    big.addEventListener('dragstart', (event) => event.preventDefault());
    find('picture').replaceChildren(big);
    find('words').textContent = layer.text;
    find('slide').hidden = layer.src === null;
    find('layers').replaceChildren(...image.layers.map((one) => {
      const button = make('button', { type: 'button' }, one.caption);
      button.setAttribute('aria-pressed', String(one === layer));
      button.addEventListener('click', () => {
        open.caption = one.caption;
        draw();
        find('layers').querySelector('[aria-pressed="true"]').focus();
      });
      return button;
    }));
    find('earlier').disabled = open.image === 0;
    find('later').disabled = open.image === chosen.length - 1;
    cover();
  };
  const enlarge = (index, layer) => {
    open = { image: index, caption: chosen[index].layers[layer].caption };
    slider.value = 100;
    draw();
    viewer.showModal();
  };
  const step = (by) => {
    const next = open.image + by;
    if (next < 0 || next >= chosen.length) return;
    open.image = next;
    draw();
  };
  find('earlier').addEventListener('click', () => step(-1));
  find('later').addEventListener('click', () => step(1));
  find('close').addEventListener('click', () => viewer.close());
  slider.addEventListener('input', cover);
  viewer.addEventListener('click', (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener('keydown', (event) => {
    if (event.target === slider) return;
    if (event.key === 'ArrowLeft') step(-1);
    if (event.key === 'ArrowRight') step(1);
  });
  choose();
})();
