"""Takes the words of FuxiCTR's own script and runs ``fuxibench run-expid``.

    python scripts/run_expid.py --config BARS/ranking/ctr/DCNv2/DCNv2_frappe_x1/DCNv2_frappe_x1_tuner_config_03 \
        --expid DCNv2_frappe_x1_007_c207b717 --gpu 0 --data ~/Frappe_x1
"""

import sys

from fuxi_plugins.cli.main import main

if __name__ == "__main__":
    main(["run-expid", *sys.argv[1:]])
