_base_ = ['soft_max_cam_r18_synth.py']
custom_imports = dict(imports=[*_base_.custom_imports.imports, 'smooth_refiner'])
smooth = dict(type='SmoothRefiner', sigma=2.0)
refine = dict(smooth=['smooth'])
