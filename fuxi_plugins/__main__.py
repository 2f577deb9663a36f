from fuxi_plugins.cli import main

main()
