"""Models of crosses, masks, attention and graphs: a formula spelled out by loops, or a law, for each."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fuxi_plugins.models.afn import AFN
from fuxi_plugins.models.aoanet import AOANet, GeneralizedInteraction
from fuxi_plugins.models.attention_heads import merge_heads, split_heads
from fuxi_plugins.models.dcn import DCN
from fuxi_plugins.models.destine import DESTINE, DisentangledSelfAttention
from fuxi_plugins.models.edcn import EDCN, Bridge, Regulation
from fuxi_plugins.models.eulernet import EulerInteraction, EulerNet
from fuxi_plugins.models.fgcnn import FGCNN, FieldPooling
from fuxi_plugins.models.fibinet import BilinearPairs, FiBiNET
from fuxi_plugins.models.fignn import FieldGraph, FiGNN, GraphLayer
from fuxi_plugins.models.finalmlp import BilinearFusion, FinalMLP
from fuxi_plugins.models.finalnet import FactorizedInteraction, FeatureGating, FinalNet
from fuxi_plugins.models.gdcn import GDCN, GatedCrossNet
from fuxi_plugins.models.hiformer import CompositeAttention, HiFormer
from fuxi_plugins.models.interhat import AttentionalAggregation, InterHAt, MultiHeadSelfAttention
from fuxi_plugins.models.masknet import MaskBlock, MaskNet
from fuxi_plugins.models.mlpmixer import MLPMixer, TokenMLP
from fuxi_plugins.models.sam import SAM, SAM2, SAM3
from fuxi_plugins.models.wukong import Wukong, WukongLayer
from tests.models import tiny

B, N, K = 3, 4, 2  # rows, fields, width of an embedding


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def randomized(module):
    tiny.randomize(module)
    return module.eval()


def test_dcn_adds_each_cross_to_what_was_there():
    model = randomized(tiny.build(DCN, num_cross_layers=2, dnn_hidden_units=()))
    features = model.get_inputs(tiny.columns(B))
    x_0 = model.embedding_layer(features, flatten_emb=True)
    x = x_0
    for layer in model.crossnet.cross_net:
        x = torch.stack([x_0[b] * (x[b] @ layer.weight.weight[0]) + layer.bias + x[b] for b in range(B)])
    expected = (x @ model.fc.weight.T + model.fc.bias).sigmoid()
    torch.testing.assert_close(model(tiny.columns(B))["y_pred"], expected)


def test_gdcn_gates_the_cross_and_not_the_residual():
    x_0, net = torch.randn(B, N), randomized(GatedCrossNet(N, 2))
    x = x_0
    for w, gate, bias in zip(net.w, net.wg, net.b, strict=True):
        x = x_0 * (x @ w.weight.T + bias) / (1 + torch.exp(-x @ gate.weight.T)) + x
    torch.testing.assert_close(net(x_0), x)


def test_edcn_regulates_by_field_and_bridges_by_type():
    x, regulation = torch.randn(B, N * K), randomized(Regulation(N, K, temperature=0.5, batch_norm=False))
    for out, g in zip(regulation(x), (regulation.g1, regulation.g2), strict=True):
        weights = torch.tensor([math.exp(value / 0.5) for value in g.tolist()])
        gates = weights / weights.sum()
        for field in range(N):
            for value in range(field * K, (field + 1) * K):
                torch.testing.assert_close(out[:, value], x[:, value] * gates[field])
    a, b = torch.randn(B, K), torch.randn(B, K)
    torch.testing.assert_close(Bridge(K, "hadamard_product")(a, b), a * b)
    torch.testing.assert_close(Bridge(K, "pointwise_addition")(a, b), a + b)
    pooling = randomized(Bridge(K, "attention_pooling"))
    torch.testing.assert_close(pooling(a, b), pooling.attention1(a) * a + pooling.attention2(b) * b)


def test_edcn_without_regulation_norms_what_the_bridge_gives():
    x, regulation = torch.randn(B, N * K), randomized(Regulation(N, K, temperature=None, batch_norm=True))
    for out, norm in zip(regulation(x), (regulation.bn1, regulation.bn2), strict=True):
        scale = norm.weight / (norm.running_var + 1e-5).sqrt()
        torch.testing.assert_close(out, (x - norm.running_mean) * scale + norm.bias)
    gated, plain = tiny.build(EDCN), tiny.build(EDCN, use_regulation=False)
    fields = gated.regulation_modules[0].g1.numel()
    assert tiny.dense_count(gated) - tiny.dense_count(plain) == 3 * 2 * fields


def test_edcn_keeps_the_residual_of_its_cross_layers_unless_told():
    """With idle cross layers, a residual passes the regulated embeddings on, and its absence passes nothing."""
    for residual in (True, False):
        model = randomized(tiny.build(EDCN, num_cross_layers=1, cross_residual=residual, batch_norm=False))
        with torch.no_grad():
            model.cross_layers[0].weight.weight.zero_()
            model.cross_layers[0].bias.zero_()
            model.fc.weight[:, 50:].zero_()  # reads the cross network alone
        predicted = model(tiny.columns(16))["y_pred"]
        assert (predicted.std() > 1e-3) == residual


def test_masknet_masks_what_enters_the_layer():
    block = randomized(MaskBlock(N, 3, 5, torch.nn.ReLU(), reduction_ratio=2, dropout=0.0, layer_norm=True))
    embeddings, hidden = torch.randn(B, N), torch.randn(B, 3)
    inner, _, outer = block.mask_layer
    assert inner.out_features == 6
    mask = (embeddings @ inner.weight.T + inner.bias).clamp(min=0) @ outer.weight.T + outer.bias
    linear, norm, _ = block.hidden_layer
    z = (mask * hidden) @ linear.weight.T
    z = (z - z.mean(1, keepdim=True)) / (z.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(block(embeddings, hidden), (z * norm.weight + norm.bias).clamp(min=0))


def test_masknets_take_one_activation_for_each_layer():
    for form in ("SerialMaskNet", "ParallelMaskNet"):
        tiny.build(MaskNet, model_type=form, dnn_hidden_units=[4, 4], dnn_hidden_activations=["PReLU", "ReLU"])
    with pytest.raises(ValueError, match="must name one for each of the 2"):
        tiny.build(MaskNet, dnn_hidden_units=[4, 4], dnn_hidden_activations=["ReLU"])


def test_finalmlp_fuses_head_by_head():
    fusion = randomized(BilinearFusion(4, 6, num_heads=2))
    x, y = torch.randn(B, 4), torch.randn(B, 6)
    weight = fusion.w_xy.view(2, 2, 3)
    expected = fusion.w_x(x) + fusion.w_y(y)
    for b in range(B):
        for h in range(2):
            for i in range(2):
                for j in range(3):
                    expected[b] += x[b, 2 * h + i] * weight[h, i, j] * y[b, 3 * h + j]
    torch.testing.assert_close(fusion(x, y), expected)


def test_finalmlp_context_starts_small_even_where_its_table_is_shared():
    model = tiny.build(FinalMLP, fs1_context=["history"])
    table = model.gate1.ctx_emb.embedding_layer.embedding_layers["history"].weight
    assert table[1:].std() < 1e-3
    assert table[0].eq(0).all()
    with pytest.raises(ValueError, match="but has \\['group'\\]"):
        tiny.build(FinalMLP, fs2_context=["group"])


def test_finalnet_multiplies_the_two_maps_of_each_layer():
    x = torch.randn(B, 3)
    for residual_type in ("concat", "sum"):
        layer = randomized(FactorizedInteraction(3, 4, residual_type))
        a, c = (x @ layer.linear.weight.T + layer.linear.bias).split(4 if residual_type == "sum" else 2, dim=1)
        expected = a + a * c if residual_type == "sum" else torch.cat([a, a * c], dim=1)
        torch.testing.assert_close(layer(x), expected)


def test_finalnet_gates_start_at_one():
    model, x = tiny.build(FinalNet, use_feature_gating=True), torch.randn(B, 5, K)
    torch.testing.assert_close(model.feature_gating(x), torch.cat([x, x], dim=1))
    gating = randomized(FeatureGating(N))
    x = torch.randn(B, N, K)
    gates = torch.stack([gating.linear(x[:, :, value]) for value in range(K)], dim=2)
    torch.testing.assert_close(gating(x)[:, N:], x * gates)


def test_finalnet_blocks_learn_from_their_mean():
    """FuxiCTR's ``compute_loss`` takes the loss of the prediction and both distillations, the teacher held fixed."""
    model, batch = tiny.build(FinalNet), tiny.columns(16)
    tiny.randomize(model)
    out, y = model(batch), model.get_labels(batch)
    out["y1"].retain_grad()
    loss = model.compute_loss(out, y)
    p, p1, p2 = out["y_pred"], out["y1"].sigmoid(), out["y2"].sigmoid()
    torch.testing.assert_close(p, ((out["y1"] + out["y2"]) / 2).sigmoid())
    entropies = [-(t * q.log() + (1 - t) * (1 - q).log()).mean() for t, q in ((y, p), (p, p1), (p, p2))]
    torch.testing.assert_close(loss, sum(entropies))
    loss.backward()
    torch.testing.assert_close(out["y1"].grad, ((p - y) / 2 + p1 - p).detach() / 16)


def test_afn_crosses_are_products_of_powers():
    model = randomized(tiny.build(AFN, logarithmic_neurons=2))
    for norm in (model.log_batch_norm, model.exp_batch_norm):
        torch.nn.init.ones_(norm.weight)
        torch.nn.init.zeros_(norm.bias)
        norm.eps = 0.0
    embeddings = torch.randn(B, 5, K)
    crosses = model.crosses(embeddings)
    for j in range(2):
        product = torch.ones(B, K)
        for i in range(5):
            product *= embeddings[:, i].abs() ** model.coefficient_W.weight[j, i]
        torch.testing.assert_close(crosses[:, j], product)


def test_fibinet_multiplies_each_pair_once():
    x = torch.randn(B, N, K)
    for kind in ("field_all", "field_each", "field_interaction"):
        layer = randomized(BilinearPairs(N, K, kind))
        expected = []
        for i in range(N):
            for j in range(i + 1, N):
                weight = {"field_all": 0, "field_each": i, "field_interaction": len(expected)}[kind]
                weight = layer.bilinear_W if kind == "field_all" else layer.bilinear_W[weight]
                expected.append((x[:, i] @ weight) * x[:, j])
        torch.testing.assert_close(layer(x), torch.stack(expected, dim=1))


def test_fibinet_sees_the_reweighted_fields():
    """Gates of zero leave the linear part and the first half of the products."""
    model = randomized(tiny.build(FiBiNET))
    with torch.no_grad():
        model.senet_layer.excitation[2].weight.zero_()
        before = model(tiny.columns(8))["y_pred"]
        model.bilinear_interaction2.bilinear_W.add_(1)
        assert torch.equal(model(tiny.columns(8))["y_pred"], before)
        model.bilinear_interaction1.bilinear_W.add_(1)
        assert not torch.equal(model(tiny.columns(8))["y_pred"], before)


def test_fignn_edges_are_attention_to_the_other_fields():
    graph = randomized(FieldGraph(N, K, 1, reuse_graph_layer=False, use_gru=True, use_residual=True))
    x = torch.randn(B, N, K)
    edges = graph.edges(x)
    for b in range(B):
        for i in range(N):
            scores = {
                j: F.leaky_relu(graph.W_attn(torch.cat([x[b, i], x[b, j]]))).exp().item() for j in range(N) if j != i
            }
            for j in range(N):
                assert edges[b, i, j].item() == pytest.approx(scores.get(j, 0) / sum(scores.values()), abs=1e-5)


def test_fignn_sends_through_the_senders_and_receives_through_the_receivers_matrix():
    layer = randomized(GraphLayer(N, K))
    edges, h = torch.rand(B, N, N), torch.randn(B, N, K)
    for b in range(B):
        for i in range(N):
            received = sum(edges[b, i, j] * (layer.W_out[j] @ h[b, j]) for j in range(N))
            torch.testing.assert_close(layer(edges, h)[b, i], layer.W_in[i] @ received + layer.bias_p)


def test_fignn_shares_its_layer_on_request():
    count = {reuse: tiny.dense_count(tiny.build(FiGNN, reuse_graph_layer=reuse)) for reuse in (True, False)}
    assert count[False] - count[True] == 2 * (2 * 5 * 10 * 10 + 10)  # two more layers of five fields of width 10


def test_aoanet_interaction_is_the_weighted_sum_of_outer_products():
    layer = randomized(GeneralizedInteraction(3, 2, N, K))
    e, b = torch.randn(B, N, K), torch.randn(B, 3, K)
    out = layer(e, b)
    for o in range(2):
        fusion = torch.zeros(B, K, K)
        for i in range(3):
            for j in range(N):
                outer = e[:, j].unsqueeze(2) * b[:, i].unsqueeze(1)
                fusion += layer.alpha[i * N + j, o] * outer
        torch.testing.assert_close(out[:, o], (layer.W[o] * fusion @ layer.h[o]).squeeze(-1))


def test_aoanet_subspaces_start_apart():
    for layer in tiny.build(AOANet).gin:
        assert not torch.allclose(layer.alpha[:, 0], layer.alpha[:, 1])


def test_sam_spelled_out():
    x = torch.randn(B, N, K)
    for weighted in (True, False):
        two, three = randomized(SAM2(N, K, weighted)), randomized(SAM3(N, K, weighted, use_residual=True))
        for b in range(B):
            for i in range(N):
                third = three.Q(x[b, i])
                for j in range(N):
                    product = x[b, i] * x[b, j]
                    second = (x[b, i] @ x[b, j]) * (two.W[i, j] if weighted else product)
                    torch.testing.assert_close(two(x)[b, i, j], second)
                    third = third + (x[b, i] @ three.K(x[b, j])) * (three.W[i, j] if weighted else product)
                torch.testing.assert_close(three(x)[b, i], third)


def test_sam_pairs_can_only_be_concatenated():
    with pytest.raises(ValueError, match="SAM2E needs aggregation='concat'"):
        tiny.build(SAM, interaction_type="SAM2E", aggregation="mean_pooling")


def test_heads_are_parts_of_every_fields_vector():
    x = torch.randn(B, N, 6)
    heads = split_heads(x, 3, "by_vector")
    for h in range(3):
        assert torch.equal(heads[:, h], x[:, :, 2 * h : 2 * h + 2])
    for how in ("by_vector", "fuxictr"):
        assert torch.equal(merge_heads(split_heads(x, 3, how), how), x)
    assert torch.equal(split_heads(x, 1, "by_vector"), split_heads(x, 1, "fuxictr"))


def attention_head(q: Tensor, k: Tensor, v: Tensor, scale: float, unary: Tensor | None = None) -> Tensor:
    """One head of one row by loops: q, k, v (n, d), unary (n,) -> (n, d)."""
    out = torch.zeros_like(v)
    for i in range(len(q)):
        weights = [math.exp((q[i] @ k[j]).item() / scale) for j in range(len(k))]
        for j in range(len(k)):
            out[i] += weights[j] / sum(weights) * v[j]
            if unary is not None:
                out[i] += unary[j].exp() / unary.exp().sum() * v[j]
    return out


def test_destine_whitens_the_pairs_and_adds_the_unary_term():
    layer = randomized(
        DisentangledSelfAttention(K, 4, 2, "by_vector", 0.0, use_residual=True, use_scale=True, relu_before_att=False)
    )
    x = torch.randn(B, N, K)
    for b in range(B):
        q, k, v = layer.W_q(x[b]), layer.W_k(x[b]), layer.W_v(x[b])
        q, k, unary = q - q.mean(0), k - k.mean(0), layer.W_unary(x[b])
        heads = [
            attention_head(q[:, part], k[:, part], v[:, part], 2**0.5, unary[:, h])
            for h, part in enumerate((slice(0, 2), slice(2, 4)))
        ]
        torch.testing.assert_close(layer(x)[b], torch.cat(heads, dim=1) + layer.W_res(x[b]))


def test_destine_heads_must_fit():
    with pytest.raises(ValueError, match="the nearest that fits is 15"):
        tiny.build(DESTINE, attention_dim=16, num_heads=3)


def test_interhat_attends_in_heads():
    layer = randomized(MultiHeadSelfAttention(K, 3, 2, "by_vector", 0.0, use_residual=True, layer_norm=False))
    x = torch.randn(B, N, K)
    for b in range(B):
        q, k, v = layer.W_q(x[b]), layer.W_k(x[b]), layer.W_v(x[b])
        heads = [attention_head(*(p[:, 3 * h : 3 * h + 3] for p in (q, k, v)), 3**0.5) for h in range(2)]
        torch.testing.assert_close(layer(x)[b], layer.W_res(torch.cat(heads, dim=1)).clamp(min=0) + x[b])


def test_interhat_raises_the_order_with_the_first_layers_fields():
    model, batch = randomized(tiny.build(InterHAt, order=3)), tiny.columns(B)
    x_1 = model.feedforward(model.multi_head_attention(model.embedding_layer(model.get_inputs(batch))))
    u_1 = model.aggregation_layers[0](x_1)
    x_2 = torch.stack([u_1 * x_1[:, i] + x_1[:, i] for i in range(5)], dim=1)
    u_2 = model.aggregation_layers[1](x_2)
    x_3 = torch.stack([u_2 * x_1[:, i] + x_2[:, i] for i in range(5)], dim=1)
    u_3 = model.aggregation_layers[2](x_3)
    pooled = model.attentional_score(torch.stack([u_1, u_2, u_3], dim=1))
    torch.testing.assert_close(model(batch)["y_pred"], model.mlp(pooled).sigmoid())


def test_interhat_pools_with_weights_that_sum_to_one():
    aggregation, same = randomized(AttentionalAggregation(K, 3)), torch.randn(B, 1, K).expand(-1, N, -1)
    torch.testing.assert_close(aggregation(same), same[:, 0])


def test_eulernet_multiplies_powers_of_complex_numbers():
    layer = randomized(EulerInteraction(N, 3, K, False, 0.0, 0.0, "zero_biases"))
    z = torch.polar(torch.rand(B, N, K) + 0.5, torch.rand(B, N, K) - 0.5)
    real, imaginary = layer((z.real, z.imag))
    for m in range(3):
        product = torch.polar(layer.bias_lam[:, :, m].exp(), layer.bias_theta[:, :, m]).expand(B, K)
        for j in range(N):
            product = product * z[:, j] ** layer.inter_orders[j, m]
        rows = slice(m * K, (m + 1) * K)
        for out, part, explicit in ((real, z.real, product.real), (imaginary, z.imag, product.imag)):
            implicit = part.flatten(1) @ layer.im.weight[rows].T + layer.im.bias[rows]
            torch.testing.assert_close(out[:, m], explicit + implicit.clamp(min=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("initialization", ["zero_biases", "fuxictr", "official_code"])
def test_eulernet_starts_as_it_is_told(initialization):
    model = tiny.build(EulerNet, shape=(40,), initialization=initialization)
    implicit = model.Euler_interaction_layers[0].im
    for linear in (implicit, model.reg):
        bound = 0.0 if initialization == "zero_biases" else linear.in_features**-0.5
        assert linear.bias.abs().max() <= bound
        assert linear.bias.any() == (bound > 0)
    glorot = (2 / sum(implicit.weight.shape)) ** 0.5
    expected = 0.01 if initialization == "official_code" else glorot
    assert implicit.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_eulernet_needs_a_layer():
    with pytest.raises(ValueError, match="but shape=\\[\\]"):
        tiny.build(EulerNet, shape=())


def test_fgcnn_pools_all_fields_whatever_their_number():
    for height in range(1, 8):
        for size in range(1, 5):
            x = torch.randn(1, 1, height, K)
            pooled = FieldPooling(size)(x)
            assert pooled.shape[2] == math.ceil(height / size)
            assert pooled.isfinite().all()
            assert torch.isin(x.amax(dim=2), pooled).all()


def test_fgcnn_counts_its_new_features_and_takes_any_shape():
    model = tiny.build(FGCNN, channels=[2, 3], kernel_heights=[2, 4], pooling_sizes=[3, 2], recombined_channels=[2, 1])
    assert model.fgcnn_layer.num_new == 2 * 2 + 1 * 1  # five fields become two, and those one
    assert model(tiny.columns(B))["y_pred"].shape == (B, 1)
    with pytest.raises(ValueError, match="as many entries as channels"):
        tiny.build(FGCNN, channels=[2, 3], kernel_heights=[3])


def test_wukong_layer_spelled_out():
    layer = randomized(WukongLayer(N, 3, 2, K, 2, [4], "ReLU", 0.0, layer_norm=True))
    x = torch.randn(B, N, K)
    for b in range(B):
        products = torch.zeros(N, 2)
        for i in range(N):
            for r in range(2):
                compressed = sum(layer.fmb.proj_Y[j, r] * x[b, j] for j in range(N))
                products[i, r] = x[b, i] @ compressed
        made = layer.fmb.mlp(layer.fmb.layer_norm(products.flatten())).clamp(min=0).view(3, K)
        recombined = torch.stack([sum(layer.lcb.linear.weight[o, j] * x[b, j] for j in range(N)) for o in range(2)])
        project = layer.residual_proj
        residual = torch.stack(
            [sum(project.weight[o, j] * x[b, j] for j in range(N)) + project.bias[o] for o in range(5)]
        )
        torch.testing.assert_close(layer(x)[b], layer.layer_norm(torch.cat([made, recombined]) + residual))


def test_wukong_keeps_its_residual_where_the_number_of_vectors_stays():
    model = tiny.build(Wukong, num_wukong_layers=2, fmb_features=2, lcb_features=3)
    assert all(layer.residual_proj is None for layer in model.wukong_stack)  # five fields, five vectors


def test_mlpmixer_mixes_tokens_alike_in_all_channels():
    mixing = randomized(TokenMLP(N, K, 3, dropout=0.0))
    x = torch.randn(B, N, K)
    normed = mixing.norm(x)
    for channel in range(K):
        torch.testing.assert_close(mixing(x)[:, :, channel], x[:, :, channel] + mixing.mlp(normed[:, :, channel]))


def test_mlpmixer_channels_are_mixed_alike_in_all_tokens():
    block = randomized(tiny.build(MLPMixer)).blocks[0]
    u = torch.randn(B, 8, 32)
    order = torch.randperm(8)
    torch.testing.assert_close(block.ffn(u)[:, order], block.ffn(u[:, order]))


def test_hiformer_attends_between_composites_of_all_tokens():
    layer = randomized(CompositeAttention(N, 4, 2, rank=3))
    x = torch.randn(B, N, 4)

    def composite(projection, b, h):
        low = projection.down.weight[3 * h : 3 * h + 3] @ x[b].flatten()
        return (low @ projection.up.weight[h]).view(N, 2)

    for b in range(B):
        heads = [
            attention_head(*(composite(part, b, h) for part in (layer.query, layer.key, layer.value)), 2**0.5)
            for h in range(2)
        ]
        torch.testing.assert_close(layer(x)[b], x[b] + torch.cat(heads, dim=1))


def test_hiformer_takes_full_matrices():
    model = randomized(tiny.build(HiFormer, rank=None))
    full = model.blocks[0].mixing.query.up.weight
    assert full.shape == (4, 8 * 32, 8 * 8)
    assert model(tiny.columns(B))["y_pred"].shape == (B, 1)


def test_gdcn_parallel_needs_its_mlp():
    with pytest.raises(ValueError, match="model_structure='parallel' needs an MLP"):
        tiny.build(GDCN, model_structure="parallel", dnn_hidden_units=())
