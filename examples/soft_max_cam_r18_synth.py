_base_ = ['../configs/cam/cam_r18_synth.py']
custom_imports = dict(imports=[*_base_.custom_imports.imports, 'soft_max_cam'])
model = dict(decode_head=dict(type='SoftMaxCAMHead', sharpness=4.0))
